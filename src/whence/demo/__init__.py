"""A small inference runtime on real models, recorded by whence: an example that ships."""
