"""Every example spec compiles to one digest, whichever engine the team has."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

import mixtera
from mixtera.contracts.engine import Engine
from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs, example_specs
from mixtera.registry import engine_named
from mixtera_backends.engines.postgres import URL
from tests.engines.server import Postgres
from tests.miniature import installation

NAMES = tuple(path.stem for path in example_specs())
OTHERS = ("polars", "datafusion", "postgres", "clickhouse")
Compiled = Callable[[str, Engine], str]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The digest of an example; each has a catalog, since they define the properties of one corpus differently."""
    root = tmp_path_factory.mktemp("examples")
    build(root / "corpus", installation(root / "installation"))
    copy_specs(root)
    specs = {name: mixtera.load(str(root / f"{name}.yaml")) for name in NAMES}
    catalogs = {name: mixtera.Catalog.open(str(root / f"catalog-{name}")) for name in NAMES}
    for name, catalog in catalogs.items():
        catalog.index(specs[name], workers=1)
    return lambda name, engine: mixtera.compile(specs[name], catalogs[name], engine=engine, reuse=False).digest


@pytest.fixture(scope="module")
def digests(compiled: Compiled) -> dict[str, str]:
    """Those of the default engine."""
    with closing(engine_named("duckdb")) as engine:
        return {name: compiled(name, engine) for name in NAMES}


@pytest.fixture(scope="module", params=OTHERS)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A session of another engine, for all examples."""
    if request.param == "clickhouse" and importlib.util.find_spec("chdb") is None:
        pytest.skip("chDB is not installed: pip install 'mixtera[clickhouse]'")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "postgres":
            server: Postgres = request.getfixturevalue("postgres")
            patch.setenv(URL, server.url)
        with closing(engine_named(request.param)) as opened:
            yield opened


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_is_that_of_every_engine(
    name: str, engine: Engine, compiled: Compiled, digests: dict[str, str]
) -> None:
    assert compiled(name, engine) == digests[name]


def test_digests_tell_examples_apart(digests: dict[str, str]) -> None:
    assert len(set(digests.values())) == len(NAMES)
