"""One module per format in which recorded events leave."""
