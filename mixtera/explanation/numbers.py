"""Numbers for people: thousands separators, units, and no more digits than matter."""

from __future__ import annotations

from collections.abc import Iterable

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def count(value: int) -> str:
    """1234567 → `1,234,567`."""
    return f"{value:,}"


def samples(value: int, unit: str = "samples") -> str:
    """1 → `1 sample`, 1234 → `1,234 samples`; or another unit, in the plural."""
    return f"{value:,} {unit.removesuffix('s') if value == 1 else unit}"


def bytes_text(value: float) -> str:
    """1234567 → `1.2 MB`; units of 1,000."""
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:,.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def percent(fraction: float) -> str:
    """0.12345 → `12.35 %`; small ones keep two digits that matter."""
    value = 100 * fraction
    return f"{value:.2f} %" if value == 0 or value >= 0.1 else f"{value:.2g} %"


def multiple(factor: float) -> str:
    """1.234 → `1.23 ×`."""
    return f"{factor:.2f} ×" if factor < 100 else f"{factor:,.0f} ×"


def weight_text(value: float | None) -> str:
    """70.0 → `70`; unknown is empty."""
    return "" if value is None else f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}"


def listed(names: Iterable[str], shown: int = 5) -> str:
    """`a, b and c`; after some, `… and 12 more`."""
    every = list(names)
    if len(every) > shown:
        return f"{', '.join(every[:shown])} and {count(len(every) - shown)} more"
    return " and ".join([", ".join(every[:-1]), every[-1]]) if len(every) > 1 else "".join(every)
