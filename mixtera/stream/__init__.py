"""The stream: pointers → samples as Arrow record batches, read ahead in the background."""

from mixtera.stream.stream import Stream

__all__ = ["Stream"]
