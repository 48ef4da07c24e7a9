"""Chains of URLs, as fsspec has them: `zip://part/a.bin::https://host/all.zip`."""

from __future__ import annotations


def parted(url: str) -> tuple[str, str, str]:
    """The link of a URL that has the file's path, between what stands before and after it; of a path, all of it.

    It is the first link that has a path: what `simplecache::https://host/a` caches has one, the cache has none.
    """
    if "://" not in url:
        return "", url, ""
    links = url.split("::")
    first = next(number for number, link in enumerate(links) if "://" in link)
    return (
        "".join(f"{link}::" for link in links[:first]),
        links[first],
        "".join(f"::{link}" for link in links[first + 1 :]),
    )
