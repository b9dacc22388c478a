"""Files that other tools wrote: each format a module, each a way into a store."""
