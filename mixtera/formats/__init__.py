"""How samples lie in files: one package a format, and what they share."""
