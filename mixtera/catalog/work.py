"""What a worker does: scan files, or write rows that the catalog has with other columns."""

from __future__ import annotations

from typing import TypeAlias

from mixtera.catalog.bundles import Bundle, Scanned
from mixtera.catalog.derivation import Derivation
from mixtera.catalog.scan import Advance, scan_bundle

Work: TypeAlias = Bundle | Derivation


def done(work: Work, advance: Advance) -> Scanned:
    """Do a piece of work.

    Raises:
        MixteraError: It cannot be done.
    """
    match work:
        case Bundle():
            return scan_bundle(work, advance)
        case Derivation():
            from mixtera.catalog.deriving import derive  # seldom needed

            return derive(work, advance)
