"""Labels and weights → the components of a plan, and what is wrong with them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mixtera.artifact.model import PlanComponent
from mixtera.compiler.groups import Key, key_text
from mixtera.compiler.labels import Labels
from mixtera.compiler.leaves import Leaf
from mixtera.errors import SpecError
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import Grouped, Natural, Parts, Place, Spec, Uniform, Values


@dataclass(frozen=True, slots=True)
class Member:
    """A component that samples belong to.

    Attributes:
        leaf: The leaf it comes from.
        name: Full name.
        code: Its code among the labels.
        samples: How many belong to it.
        weight: Its weight in the whole mixture, any scale.
    """

    leaf: Leaf
    name: str
    code: int
    samples: int
    weight: float

    @property
    def places(self) -> int | None:
        """How many places it may fill; None without end. Exact in the decimals of `max_epochs` as written."""
        epochs = self.leaf.max_epochs
        if epochs is None:
            return None if self.leaf.on_exhaust == "repeat" else self.samples
        return math.floor(self.samples * Fraction(repr(epochs)))

    @property
    def component(self) -> PlanComponent:
        """The member as a plan holds it."""
        policy = "repeat" if self.places is None else self.leaf.at_last
        return PlanComponent(self.name, self.weight, self.samples, self.places, policy)


def members(spec: Spec, leaves: Sequence[Leaf], labels: Labels) -> list[Member]:
    """The components of a plan, those of weight 0 too: leaves in the order of the spec, groups by name.

    Raises:
        SpecError: A component matches no sample, a value has a weight and is not there, two groups have one name, …;
            all such issues at once.
    """
    issues = Issues()
    totals = labels.counts.sum(axis=0).tolist()
    sizes = {leaf.label: _size(leaf, labels.groups, totals) for leaf in leaves}
    _report_empty(spec, sizes, int(labels.kept.sum()), issues)
    weights = iter(_Weights(leaves, labels.groups, totals, issues).leaves(spec.mixture.parts))
    found = [Member(leaf, name, code, totals[code], weight) for leaf, name, code, weight in weights]
    _report_names(found, issues)
    _report_places(found, issues)
    if issues.found:
        raise SpecError(issues.found)
    return found


def _size(leaf: Leaf, groups: Mapping[int, Mapping[Key, int]], totals: Sequence[int]) -> int:
    if leaf.group is None:
        return totals[leaf.label]
    return sum(totals[code] for code in groups.get(leaf.label, {}).values())


@dataclass(frozen=True)
class _Weights:
    """Hands weights down the tree: those of the root as written, below it the parent's shared by normalised weights."""

    every: Sequence[Leaf]
    groups: Mapping[int, Mapping[Key, int]]
    totals: Sequence[int]
    issues: Issues

    def leaves(self, parts: Parts) -> Iterator[tuple[Leaf, str, int, float]]:
        """Leaf, full name, code and weight of every component."""
        return self._walk(parts, None, iter(self.every))

    def _walk(
        self, parts: Parts, parent: float | None, remaining: Iterator[Leaf]
    ) -> Iterator[tuple[Leaf, str, int, float]]:
        if isinstance(parts, Grouped):
            leaf = next(remaining)
            found = sorted((key_text(key), code) for key, code in self.groups.get(leaf.label, {}).items())
            raw = _group_weights(parts, [(name, self.totals[code]) for name, code in found], self.issues)
            for (name, code), weight in zip(found, _shared(raw, parent, parts.place, self.issues), strict=True):
                yield leaf, "/".join((*leaf.path, name)), code, weight
            return
        raw = [component.weight for component in parts.components]
        place = parts.components[0].place
        for component, weight in zip(parts.components, _shared(raw, parent, place, self.issues), strict=True):
            if component.parts is None:
                leaf = next(remaining)
                yield leaf, "/".join(leaf.path), leaf.label, weight
            else:
                yield from self._walk(component.parts, weight, remaining)


def _shared(weights: Sequence[float], parent: float | None, place: Place, issues: Issues) -> Sequence[float]:
    total = math.fsum(weights)
    if total <= 0:
        if weights:
            issues.add(place, "the weights sum to zero: nothing can be chosen; give one of them a weight above 0")
        return [0.0] * len(weights)
    return weights if parent is None else [parent * (weight / total) for weight in weights]


def _group_weights(group: Grouped, sizes: Sequence[tuple[str, int]], issues: Issues) -> list[float]:
    match group.weights:
        case Natural():
            return [float(size) for _, size in sizes]
        case Uniform():
            return [1.0] * len(sizes)
        case Values() as values:
            return _value_weights(values, group, sizes, issues)


def _value_weights(values: Values, group: Grouped, sizes: Sequence[tuple[str, int]], issues: Issues) -> list[float]:
    """Weights by name; what is not named shares `rest` by size, or is left out where there is no `rest`."""
    written = dict(values.weights)
    names = [name for name, _ in sizes]
    known = set(names)
    for (name, _), place in zip(values.weights, values.places, strict=False):
        if name not in known:
            columns = ", ".join(group.by)
            issues.add(
                place, f"weights: no sample has the value {name!r} of {columns}{suggestion(name, names, 'found')}"
            )
    others = sum(size for name, size in sizes if name not in written)
    rest = values.rest or 0.0
    if values.rest is not None and not others:
        issues.add(group.place, "weights: `rest` is for values that are not named, and all are; remove `rest`")
    return [written[name] if name in written else rest * (size / others) for name, size in sizes]


def _report_empty(spec: Spec, sizes: Mapping[int, int], kept: int, issues: Issues) -> None:
    parts = spec.mixture.parts
    passed = "pass the filter" if spec.filter is not None else "are in the catalog"
    if isinstance(parts, Grouped):
        if not kept:
            issues.add(parts.place, f"by: no samples {passed}; nothing can be grouped")
        return
    _report_empty_parts(parts, (), iter(sizes.values()), f"{kept:,} samples {passed}", issues)


def _report_empty_parts(parts: Parts, path: tuple[str, ...], sizes: Iterator[int], whole: str, issues: Issues) -> int:
    """Report the outermost components without samples; returns the number of samples of the parts."""
    if isinstance(parts, Grouped):
        return next(sizes)
    taken = 0
    for component in parts.components:
        name = (*path, component.name)
        below = Issues()
        size = (
            next(sizes)
            if component.parts is None
            else _report_empty_parts(component.parts, name, sizes, f"inside {'/'.join(name)!r}", below)
        )
        if size:
            issues.extend(below.found)
        else:
            before = f", the components before it take {taken:,} of them" if taken else ""
            issues.add(component.place, f"component {'/'.join(name)!r} matches no sample: {whole}{before}")
        taken += size
    return taken


def _report_names(found: Sequence[Member], issues: Issues) -> None:
    by_name: defaultdict[str, list[Member]] = defaultdict(list)
    for member in found:
        by_name[member.name].append(member)
    for name, twins in by_name.items():
        if len(twins) > 1:
            issues.add(
                twins[-1].leaf.place,
                f"{len(twins)} components would be named {name!r}: different values are written alike (as NULL and the "
                'text "null" are); write components with predicates for them instead of `by`',
            )


def _report_places(found: Sequence[Member], issues: Issues) -> None:
    for member in found:
        if member.places == 0 and member.samples:
            issues.add(
                member.leaf.place,
                f"component {member.name!r}: max_epochs {member.leaf.max_epochs:g} of {member.samples} samples is less "
                f"than one sample; at least {1 / member.samples:g} is needed",
            )
