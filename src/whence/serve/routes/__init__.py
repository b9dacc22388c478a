"""The routes of the HTTP face, a module for each group."""
