"""Names as they may be shown: what somebody else wrote, without what could steer a terminal, a page or a diagram."""

from __future__ import annotations

import re
from typing import Final

_STEERING: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, line separators, changes of the direction of writing, and what no encoding has."""
_MERMAID: Final = re.compile(r"[^\w .,:;/()\-+×%=→…]")


def shown(text: str) -> str:
    """A text of one line; every character that steers something becomes `�`."""
    return _STEERING.sub("\ufffd", text)


def mermaid_text(text: str) -> str:
    """A text inside the quotes of a Mermaid label: everything but plain characters as `#code;`."""
    return _MERMAID.sub(lambda found: f"#{ord(found[0])};", shown(text))
