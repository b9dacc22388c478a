"""What a server costs: at rest, and for each request."""
