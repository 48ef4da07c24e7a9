"""Tokens: tokenizers, content as text, and how many tokens a sample has."""
