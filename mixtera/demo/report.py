"""The demo's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from mixtera.demo.corpus import Corpus
from mixtera.demo.readers import Reading
from mixtera.demo.shares import Share

if TYPE_CHECKING:
    from rich.console import Console

PACKAGES_OF_EXTRA = {"torch": "PyTorch", "jax": "JAX"}


def show_corpus(console: Console, corpus: Corpus, seconds: float) -> None:
    """What the corpus holds."""
    total = sum(corpus.documents.values())
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in corpus.documents.items())
    done = f"built in {seconds:.1f} s" if corpus.built else "there already, unchanged"
    console.print(f"{total:,} documents ({kinds}) in {corpus.directory}, {done}")


def show_shares(console: Console, found: Sequence[Share]) -> None:
    """Asked beside realised."""
    table = Table("component", title="What was asked, and what came", title_justify="left")
    for heading in ("asked", "realised", "samples", "furthest"):
        table.add_column(heading, justify="right")
    for share in found:
        furthest = f"{share.furthest:.2f}"
        table.add_row(share.component, f"{share.asked:.4%}", f"{share.realised:.4%}", f"{share.samples:,}", furthest)
    console.print(table)
    console.print("furthest: samples away from the exact share, the worst of all prefixes of the stream")


def show_readings(console: Console, readings: Sequence[Reading]) -> None:
    """How fast each reader was."""
    table = Table("reader", title="How fast it came", title_justify="left")
    for heading in ("samples", "first batch", "samples/s", "M characters/s"):
        table.add_column(heading, justify="right")
    for reading in readings:
        speed = reading.characters / max(reading.seconds, 1e-9) / 1e6
        table.add_row(
            reading.name,
            f"{len(reading.samples):,}",
            f"{reading.start_seconds:.2f} s",
            f"{reading.samples_per_second:,.0f}",
            f"{speed:,.0f}",
        )
    console.print(table)


def missing(extra: str) -> str:
    """How to get a framework that is not installed."""
    return f'{PACKAGES_OF_EXTRA[extra]} is not installed, so its part is left out: pip install "mixtera[{extra}]"'
