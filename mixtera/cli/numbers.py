"""Numbers on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole_number(at_least: int) -> Callable[[str], int]:
    """A type for argparse: a whole number that is not below a bound; underscores may separate its digits."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < at_least:
            raise argparse.ArgumentTypeError(f"{text} is below {at_least}")
        return value

    return convert
