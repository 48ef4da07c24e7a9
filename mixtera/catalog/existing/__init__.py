"""Tables of others as the catalog of a source: pinned and checked, and read by engines as they lie."""
