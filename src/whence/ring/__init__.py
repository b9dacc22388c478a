"""The session folder: where it is, what its files say, who may read it, when it may go."""
