"""The trace service: units of work with a lifecycle, and all that is asked of them."""
