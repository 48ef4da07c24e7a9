"""What a plugin promises: one Protocol a file, and the values that cross it."""
