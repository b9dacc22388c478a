"""The folder that `whence record` puts on PYTHONPATH; nothing else may lie in it."""
