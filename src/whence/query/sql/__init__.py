"""Questions written as SQL, once for every engine; what differs between these is a Dialect."""
