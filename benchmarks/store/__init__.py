"""What keeping and asking cost: millions of events in a folder, beside other ways to keep them."""
