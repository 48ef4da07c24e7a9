"""What the batches of a plan of tokens say of themselves."""

from __future__ import annotations

from typing import Final

SEQUENCE_LENGTH: Final = b"sequence_length"
"""Metadata of the field `tokens`: how many tokens of a row are inputs."""
