"""What chains must contain: contracts, how chains are held to them, and what explains gaps."""
