"""Questions to a recording: which events, which chain, is it complete, and why."""
