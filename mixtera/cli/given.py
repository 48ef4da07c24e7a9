"""What a command was given: a spec, which is compiled over the catalog, a plan, which is opened, or a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.errors import PlanError

if TYPE_CHECKING:
    from mixtera.catalog import Catalog
    from mixtera.compiler import Stop
    from mixtera.plan import Plan
    from mixtera.spec import Spec
    from mixtera.spec.model import HoldoutPart

_DOCUMENT: Final = "plan.json"
_JOURNAL: Final = "journal.jsonl"
_SPEC_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True)
class Compiled:
    """A spec, the catalog that holds its sources, and its plan in a temporary directory."""

    spec: Spec
    catalog: Catalog
    plan: Plan


def plan_directory(path: str) -> str | None:
    """The directory, or URL, of the plan that a path names; None when it names a spec."""
    if "://" in path:
        return None if path.lower().endswith(_SPEC_SUFFIXES) else path.removesuffix(f"/{_DOCUMENT}")
    given = Path(path)
    if given.name == _DOCUMENT and given.is_file():
        return str(given.parent)
    return path if given.is_dir() else None


def spec_and_catalog(path: str, catalog: str) -> tuple[Spec, Catalog]:
    """A spec, and the catalog, which must exist.

    Raises:
        SpecError: The spec is wrong.
        CatalogError: There is no such catalog.
    """
    from mixtera.catalog import Catalog
    from mixtera.spec import load

    spec = load(path)
    return spec, Catalog.open(catalog, create=False)


@dataclass(frozen=True, slots=True)
class Options:
    """How a spec is compiled.

    Attributes:
        part: Which side of its split; None: as the spec says.
        stop: The plan that the new one takes over from, and where.
        locked: Whether it is held against the lock beside it, if there is one.
        reuse: Whether labels that are kept beside the catalog are used.
        max_memory: Bytes that it may take; None for no limit.
    """

    part: HoldoutPart | None = None
    stop: Stop | None = None
    locked: bool = True
    reuse: bool = True
    max_memory: int | None = None


DEFAULTS: Final = Options()


def compiled(path: str, catalog: str, engine: str, options: Options = DEFAULTS) -> Compiled:
    """Compile a spec.

    Args:
        path: The spec.
        catalog: The catalog.
        engine: Name of the engine.
        options: How.

    Raises:
        SpecError: The spec is wrong, or does not fit the data.
        CatalogError: A source is not indexed, or was indexed differently.
        LockError: It does not compile to what its lock says.
    """
    from mixtera.compiler import compile
    from mixtera.lockfile import BESIDE

    spec, opened = spec_and_catalog(path, catalog)
    spec = spec if options.part is None else spec.with_part(options.part)
    lock = BESIDE if options.locked else None
    plan = compile(
        spec,
        opened,
        engine=engine,
        continue_from=options.stop,
        lock=lock,
        reuse=options.reuse,
        max_memory=options.max_memory,
    )
    return Compiled(spec, opened, plan)


def plan_of(path: str, catalog: str, engine: str, remap: Mapping[str, str] | None = None, locked: bool = True) -> Plan:
    """The plan that is given, or that of the spec or of the job that is given.

    Raises:
        PlanError: It is not a plan, or a spec is given and `remap` too.
        LockError: The spec does not compile to what the lock beside it says.
    """
    directory = plan_directory(path)
    if directory is not None:
        return opened(directory, remap)
    if remap:
        raise PlanError(f"{path} is a spec, which says itself where its data lies: --remap is for plans")
    return compiled(path, catalog, engine, Options(locked=locked)).plan


def opened(directory: str, remap: Mapping[str, str] | None = None) -> Plan:
    """The plan in a directory; of a job in one, as far as it is decided.

    Raises:
        PlanError: It is no plan.
        JobError: The job is damaged, or a service has it.
    """
    from mixtera.plan import Plan

    if "://" in directory or not (Path(directory) / _JOURNAL).is_file():
        return Plan.open(directory, remap)
    from mixtera.jobs import Job

    if remap:
        raise PlanError(f"{directory} is a job, whose plan lies where it was started: --remap is for plans")
    with Job.local(None, directory) as job:
        return job.decided()
