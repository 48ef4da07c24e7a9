"""URLs as fsspec reads them: links of a chain, each with a scheme, and patterns in the first of them."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mixtera.contracts.storage import Options
from mixtera.errors import PluginError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

WEB: Final = ("http", "https")
TOTAL_SECONDS: Final = 60.0
"""For one request of http, from the connection to the last byte of its answer."""
CONNECT_SECONDS: Final = 10.0
_QUERY: Final = re.compile(r"\?[^/*\[\]]*=")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL: what stands before its path, the path, and what stands after it.

    Attributes:
        caches: Links that have no path of their own, such as `simplecache::`; mostly empty.
        scheme: The scheme of the first link that has a path.
        path: What stands after `scheme://` in it; may be a pattern.
        chain: `::` and the links after it; mostly empty.
    """

    caches: str
    scheme: str
    path: str
    chain: str

    @classmethod
    def of(cls, url: str) -> Address:
        """The address of a URL."""
        links = url.split("::")
        first = next((number for number, link in enumerate(links) if "://" in link), 0)
        scheme, _, path = links[first].partition("://")
        caches = "".join(f"{link}::" for link in links[:first])
        return cls(caches, scheme, path, "".join(f"::{link}" for link in links[first + 1 :]))

    @property
    def url(self) -> str:
        """The URL."""
        return f"{self.caches}{self.scheme}://{self.path}{self.chain}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def is_pattern(self) -> bool:
        """Whether the path has wildcards. A `?` of a web address begins its query where a `=` follows."""
        if self.scheme in WEB and _QUERY.search(self.path):
            return False
        return glob.has_magic(self.path)

    @property
    def schemes(self) -> list[str]:
        """Schemes of all links."""
        return [link.partition("://")[0] for link in self.url.split("::")]

    def at(self, path: str) -> Address:
        """The same place with another path."""
        return replace(self, path=path)


def located(address: Address, options: Options) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, which fsspec keeps for this process, and the path in it.

    Raises:
        PluginError: fsspec does not know the scheme, or needs a package that is not installed.
    """
    from fsspec.core import url_to_fs

    given = {scheme: found for scheme in address.schemes if (found := _options(scheme, options))}
    try:
        return url_to_fs(address.url, **given)  # type: ignore[no-any-return]
    except ImportError as error:
        raise PluginError(f"{address.url} needs a package that is not installed: {error}") from error
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        raise PluginError(
            f"no installed storage knows {address.scheme}:// of {address.url}, and fsspec does not either: check the "
            "scheme; a plugin of the entry point group mixtera.storage, or of fsspec's, can bring it"
        ) from error


def installed() -> list[str]:
    """Schemes whose packages are installed."""
    from fsspec import get_filesystem_class
    from fsspec.registry import known_implementations

    found = []
    for scheme in sorted(known_implementations):
        try:
            get_filesystem_class(scheme)
        except (ImportError, ValueError):
            continue
        found.append(scheme)
    return found


def _options(scheme: str, options: Options) -> dict[str, Any]:
    """What the implementation of a scheme is made with."""
    if scheme not in WEB:
        return dict(options)
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS)
    return {"client_kwargs": {"timeout": timeout}, **options}
