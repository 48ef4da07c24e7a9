"""Where the pieces of an indexing run are done, beside the processes of one machine."""
