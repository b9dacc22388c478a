"""The trace service over HTTP: its routes, who may use them, and what one request may cost."""
