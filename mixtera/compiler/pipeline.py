"""Spec and catalog → plan."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa

from mixtera.artifact.model import SEGMENTS, OrderParameters, PlanComponent, PlanData, PlanSource
from mixtera.compiler.build import SourcePlan, all_types, build, has_offsets, line_end_bytes
from mixtera.compiler.components import Member, members
from mixtera.compiler.continuation import check_left, take_over
from mixtera.compiler.delivered import codes_of_samples, delivery_of
from mixtera.compiler.dynamic import check_can_follow, steering
from mixtera.compiler.entries import select
from mixtera.compiler.exclusions import Exclusions
from mixtera.compiler.facts import continues, facts, over_time
from mixtera.compiler.feasible import check_budget
from mixtera.compiler.files import FileIndex, file_index
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.labels import Beside, Labels, gather
from mixtera.compiler.leaves import leaves, sort_keys
from mixtera.compiler.optimise import optimised
from mixtera.compiler.room import Room
from mixtera.compiler.sorting import SortValues
from mixtera.compiler.split import Split
from mixtera.compiler.stop import Stop
from mixtera.compiler.tables import make_known
from mixtera.compiler.tokens import token_counts
from mixtera.compiler.variation import varied
from mixtera.contracts.engine import Engine
from mixtera.errors import StorageError
from mixtera.lockfile import BESIDE, Lock, checked, held
from mixtera.order.blocks import Blocks, aligned
from mixtera.order.exhaustion import Course, course
from mixtera.order.shares import Group
from mixtera.order.timeline import Timeline
from mixtera.plan import Plan
from mixtera.registry import engine_named
from mixtera.spec.model import Budget, Spec
from mixtera.tokens.counted import counted


class Clock:
    """Seconds that the steps of a compilation took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 4)


def compile(
    spec: Spec,
    catalog: Catalog,
    *,
    engine: str | Engine = "duckdb",
    continue_from: Stop | None = None,
    lock: Lock | str | None = BESIDE,
    reuse: bool = True,
    max_memory: int | None = None,
) -> Plan:
    """Compile a spec over the newest snapshots of its sources.

    Args:
        spec: The spec.
        catalog: Holds its sources, indexed.
        engine: Name of the engine that runs the expressions, or an engine; the plan is the same with any.
        continue_from: A plan, and where a run stands in it: the new plan takes over there.
        lock: What the plan must be: a lock or the path of one; by default the lock beside the spec, if there is one;
            None for no lock. Of a plan that takes over, and of the other part of a split, only the files must be those
            of the lock.
        reuse: Whether labels that an earlier compilation has kept beside the catalog are used, and new ones kept; the
            plan is the same without them.
        max_memory: Bytes that the compilation and its engine may take; None for no limit but the engine's own.

    Returns:
        The plan, in a temporary directory that goes with it; `save` keeps it.

    Raises:
        SpecError: The spec does not fit the data: wrong types, components without samples, unknown values, …
        CatalogError: A source is not indexed, or was indexed differently.
        EngineError: The engine failed.
        PlanError: The catalog contradicts itself, or the mixture cannot be ordered.
        LockError: The plan is not what its lock says, or the lock cannot be read.
        StorageError: There is no room for the plan.
    """
    check_can_follow(continue_from)
    wanted, called = held(lock, spec)
    try:
        more = {} if wanted is None else {"lock": wanted.digest}
        plan = _compiled(spec, catalog, engine, continue_from, more, reuse, Room(max_memory))
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write temporary files: {error}; the variable TMPDIR names another place") from error
    if wanted is not None:
        checked(wanted, called, spec, plan.data, plan.digest, whole=continue_from is None and not spec.part_given)
    return plan


def _compiled(
    spec: Spec,
    catalog: Catalog,
    engine: str | Engine,
    stop: Stop | None,
    more: dict[str, str],
    reuse: bool,
    room: Room,
) -> Plan:
    clock, numbered = Clock(), leaves(spec.mixture, spec.order)
    with clock.step("plan"):
        spec = counted(spec)
        indexed = [catalog.source(source) for source in spec.sources]
        index = file_index(indexed, *zip(*((has_offsets(s), line_end_bytes(s)) for s in spec.sources), strict=True))
        names = [source.name for source in spec.sources]
        exclusions = Exclusions(spec.exclude, all_types(indexed), index, names)
        tokens = token_counts(spec, indexed, index.total_rows)
        plans = optimised(build(spec, indexed, (*exclusions.columns, *tokens.columns)))
        sorting = SortValues(sort_keys(numbered), plans, index.total_rows)
        split = None if spec.holdout is None else Split(spec.holdout, index, names)
    with clock.step("labels"), session(engine, ()) as running:
        room.bound(running, index)
        beside = Beside(split, exclusions, sorting, tokens)
        labels = gather(plans, index, numbered, running, beside, catalog.path if reuse else None)
        name = running.name
        exclusions.check()
    with clock.step("components"):
        as_samples = codes_of_samples(numbered, labels)
        packed = tokens.packed(labels.codes, labels.counts.shape[1], exclusions.rows, as_samples)
        found, mixture = members(spec, numbered, labels, packed)
        chosen = [member for member in found if member.chosen]
        mixture = aligned(mixture, spec.group)
        room.check_members(index, chosen, len(exclusions.rows) > 0)
        data = _plan_data(spec, plans, index, labels, chosen)
        room.check_entries(index, data.entries.num_rows)
        data = varied(data, chosen, index, exclusions.rows, sorting)
        data = replace(data, delivery=delivery_of(spec, chosen))
        data = tokens.laid_out(data, index, [member.code for member in chosen])
        taken = None if stop is None else take_over(stop, data, index, [member.tokens for member in chosen])
        data = data if taken is None else taken.data
        components = tuple(replace(component, places=_left(component)) for component in data.components)
        ahead = _course(spec.mixture.budget, mixture, components, data.first, data.unit, data.blocks)
        timeline = ahead.from_first(data.first)
        follows = steering(spec, components, timeline.phases[0].weights, data.first)
        data = replace(data, components=components, timeline=timeline, steering=follows)
        if stop is not None:
            check_left(stop, data.timeline.total)
    known = facts(spec, plans, labels, found, catalog) | over_time(spec, mixture, ahead, found, data.first)
    known |= {} if taken is None else continues(taken)
    known |= {"engine": name, "asked": labels.asked, "seconds": clock.seconds}
    return _temporary(replace(data, facts=known | more))


def _temporary(data: PlanData) -> Plan:
    directory = Path(mkdtemp(prefix="mixtera-plan-"))
    try:
        return Plan.of(data, directory)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _plan_data(
    spec: Spec,
    plans: Sequence[SourcePlan],
    index: FileIndex,
    labels: Labels,
    chosen: Sequence[Member],
) -> PlanData:
    """The plan in plain order and without a timeline."""
    whole = labels.whole.sum(axis=0).tolist()
    selection = select(index.segments, labels.codes, labels.none, [(m.code, whole[m.code]) for m in chosen])
    return PlanData(
        name=spec.name,
        sources=tuple(
            PlanSource(plan.source.name, plan.source.format, tuple((c.name, c.path) for c in plan.source.content))
            for plan in plans
        ),
        components=tuple(member.component for member in chosen),
        order=OrderParameters(
            spec.order.seed,
            spec.order.shuffle,
            spec.order.chunk_size,
            spec.order.lanes,
            spec.order.granule,
        ),
        timeline=Timeline((), 0),
        files=index.table,
        segments=_segment_table(index, labels),
        entries=selection.entries,
        component_entries=selection.component_entries,
        rows=selection.rows,
        starts=labels.starts,
        frames=index.frames,
    )


def _left(component: PlanComponent) -> int | None:
    """Places that earlier plans have left of a component."""
    return None if component.places is None else max(0, component.places - component.consumed)


def _course(
    budget: Budget | None,
    mixture: Group,
    components: Sequence[PlanComponent],
    first: int,
    unit: str,
    blocks: Blocks | None,
) -> Course:
    places = [component.places for component in components]
    policies = [component.on_exhaust for component in components]
    found = course(mixture, places, policies, None if budget is None else budget.samples, first, blocks)
    check_budget(budget, found, mixture, components, first, unit, blocks)
    return found


def _segment_table(index: FileIndex, labels: Labels) -> pa.Table:
    segments = index.segments
    columns = (segments.file, segments.row, segments.rows, segments.group, labels.offset, segments.slot)
    return pa.table(dict(zip(SEGMENTS.names, columns, strict=True))).cast(SEGMENTS)


@contextmanager
def session(engine: str | Engine, plans: Sequence[SourcePlan]) -> Iterator[Engine]:
    """An engine that knows the tables of some plans; one that was named is closed at the end."""
    with closing(engine_named(engine)) if isinstance(engine, str) else nullcontext(engine) as running:
        for table in (plan.indexed for plan in plans):
            make_known(running, table.table, table.data_files, table.types, table.keyed)
        yield running
