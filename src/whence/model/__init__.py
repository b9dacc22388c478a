"""Plain values that every other room may use and that use no other room."""
