"""The HTTP face of a store: its routes, who may use them, and what they may cost."""
