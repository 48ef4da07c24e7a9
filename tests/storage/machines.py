"""A catalog on S3 that several machines use, each with a directory of copies of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import mixtera
from tests.catalog.contents import rows
from tests.commands import Command
from tests.storage.faulty import Request
from tests.storage.objects import new_root

SPEC = """\
version: 1
name: shared
sources:
  web:
    path: {data}/web/*.jsonl
    content: text
    properties: {{language: meta.language, year: meta.year, tags: tags, score: score}}
mixture: {{by: [language], weights: natural}}
"""
OTHER = SPEC.replace("  web:\n", "  more:\n").replace("/web/", "/more/")
_COMMIT = re.compile(r"/commits/\d{10}\.json$")


def index(catalog: mixtera.Catalog, spec: Path) -> mixtera.catalog.SourceReport:
    """Index the source of a spec."""
    (report,) = catalog.index(mixtera.load(str(spec)), workers=1).sources
    return report


def is_commit(request: Request) -> bool:
    """Whether a request writes a commit of a catalog."""
    return request.method == "PUT" and _COMMIT.search(unquote(request.path)) is not None


@contextmanager
def machine(cache: Path) -> Iterator[None]:
    """What runs in the block runs on a machine that has its copies there."""
    before = os.environ.get("MIXTERA_CACHE")
    os.environ["MIXTERA_CACHE"] = str(cache)
    try:
        yield
    finally:
        os.environ.pop("MIXTERA_CACHE")
        if before is not None:
            os.environ["MIXTERA_CACHE"] = before


class Shared:
    """A catalog at a URL, data in a directory, and the machines that use both."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.url = directory, f"{new_root()}/catalog"

    def spec(self, name: str, text: str = SPEC) -> Path:
        path = self.directory / f"{name}.yaml"
        path.write_text(text.format(data=self.directory))
        return path

    def on(self, name: str) -> Path:
        """The copies of a machine."""
        return self.directory / "machines" / name

    def open(self, name: str, create: bool = False) -> mixtera.Catalog:
        with machine(self.on(name)):
            return mixtera.Catalog.open(self.url, create=create)

    def rows(self, name: str, spec: Path, catalog: str | None = None) -> list[dict[str, object]]:
        """What a machine sees of the first source of a spec."""
        with machine(self.on(name)):
            opened = mixtera.Catalog.open(catalog or self.url, create=catalog is not None)
            loaded = mixtera.load(str(spec))
            if catalog is not None:
                opened.index(loaded)
            return rows(opened, loaded.sources[0])

    def start(self, name: str, *words: str) -> Command:
        return Command([*words, "--catalog", self.url], environment={**os.environ, "MIXTERA_CACHE": str(self.on(name))})

    def run(self, name: str, *words: str, code: int = 0) -> str:
        """Standard output of a command that ends well, else standard error."""
        out, err = self.finish(self.start(name, *words), code)
        return out if code == 0 else err

    @staticmethod
    def finish(process: Command, code: int = 0) -> tuple[str, str]:
        out, err = process.communicate()
        assert process.returncode == code, out + err
        assert "Traceback" not in err
        return out, err
