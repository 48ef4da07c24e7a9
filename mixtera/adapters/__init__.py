"""Adapters: a plan as the trainer wants it. Import the one you need; none is imported here."""
