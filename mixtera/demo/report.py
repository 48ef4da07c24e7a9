"""The demo's tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from mixtera.demo.corpus import Corpus
from mixtera.demo.readers import OTHER_WORKERS, WORKERS, Reading
from mixtera.demo.shares import Share

if TYPE_CHECKING:
    from rich.console import Console

    from mixtera.catalog import IndexReport

NAMES: Final = {"torch": "PyTorch", "jax": "JAX"}


def say(console: Console, text: str) -> None:
    """Print a text as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def show_corpus(console: Console, corpus: Corpus, seconds: float) -> None:
    """What the corpus holds."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in corpus.documents.items())
    done = f"built in {seconds:.1f} s" if corpus.built else "there already, unchanged"
    say(console, f"{corpus.directory}: {sum(corpus.documents.values()):,} documents, {done}\n({kinds})")


def show_indexed(console: Console, indexed: IndexReport) -> None:
    """What indexing found."""
    say(console, f"indexed {indexed.samples:,} samples of {indexed.files:,} files in {indexed.seconds:.1f} s\n")


def show_same(console: Console, reading: Reading) -> None:
    """That a reader saw what was planned."""
    say(console, f"{reading.name}: {len(reading.samples):,} samples, exactly the planned ones, in the planned order")


def show_resumed(console: Console, stopped: int, with_torch: bool) -> None:
    """That a resumed run saw what was planned."""
    who = f"PyTorch, {WORKERS} workers, then {OTHER_WORKERS}" if with_torch else "one Arrow stream, then another"
    say(console, f"{who}: stopped at position {stopped:,} and resumed: the same samples, in the same order")


def show_end(console: Console, digest: str, seconds: float, directory: Path, others: Sequence[str]) -> None:
    """The digest, the time, and where to go on."""
    say(console, f"\nplan {digest}\ndone in {seconds:.1f} s; more specs to try in {directory}:\n{', '.join(others)}")


def show_shares(console: Console, found: Sequence[Share]) -> None:
    """Asked beside realised."""
    table = Table("component", title="What was asked, and what came", title_justify="left")
    for heading in ("asked", "realised", "samples", "furthest"):
        table.add_column(heading, justify="right")
    for share in found:
        furthest = f"{share.furthest:.2f}"
        table.add_row(share.component, f"{share.asked:.4%}", f"{share.realised:.4%}", f"{share.samples:,}", furthest)
    console.print(table)
    say(console, "furthest: samples away from the exact share, the worst of all prefixes of the stream\n")


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


def show_missing(console: Console, packages: Sequence[str]) -> None:
    """How to get the frameworks that are not installed."""
    for package in packages:
        name = NAMES[package]
        say(console, f'{name} is not installed, so its part is left out: pip install "mixtera[{package}]"')
