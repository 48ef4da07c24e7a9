"""Drawings of a page: SVG that fits its column, and says on a mark what the mark is."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

_SVG: Final = "http://www.w3.org/2000/svg"
_MARK: Final = "graphics-symbol"


def fitted(drawn: str, label: str) -> str:
    """An SVG for a page.

    Its size is that of its column; its marks show their description when a pointer rests on them; read aloud, it is
    one image with a label, as the numbers stand in tables.

    Args:
        drawn: The SVG.
        label: What it shows.
    """
    root = ElementTree.fromstring(drawn)
    del root.attrib["width"], root.attrib["height"]
    root.attrib |= {"role": "img", "aria-label": label}
    for element in list(root.iter()):
        said = element.attrib.pop("aria-label", "") if element is not root else ""
        if said and element.attrib.get("role") == _MARK and element.attrib.get("aria-roledescription") != "axis":
            title = ElementTree.Element(f"{{{_SVG}}}title")
            title.text = said
            element.insert(0, title)
        if element is not root:
            for name in ("role", "aria-roledescription", "aria-hidden"):
                element.attrib.pop(name, None)
    return _plain(root)


def _plain(root: ElementTree.Element) -> str:
    """The SVG as it stands inside HTML: names without prefixes."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    return ElementTree.tostring(root, encoding="unicode")
