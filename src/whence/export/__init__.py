"""One module per format, sink or transport by which recorded events leave."""
