"""Labels and weights → the components of a plan, and what is wrong with them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mixtera.artifact.model import PlanComponent
from mixtera.compiler.delivered import codes_of_samples, report_columns
from mixtera.compiler.groups import Key
from mixtera.compiler.labels import Labels
from mixtera.compiler.leaves import Leaf
from mixtera.compiler.packed import Packed
from mixtera.compiler.weights import chosen, in_sequences, tree
from mixtera.errors import SpecError
from mixtera.order.shares import Group, shares
from mixtera.spec.issues import Issues
from mixtera.spec.model import Grouped, Parts, Spec


@dataclass(frozen=True, slots=True)
class Member:
    """A component that samples belong to.

    Attributes:
        leaf: The leaf it comes from.
        name: Full name.
        code: Its code among the labels.
        samples: How many belong to it.
        weight: Its weight in the whole mixture at the start, any scale.
        chosen: Whether it ever has a weight.
        packed: How its tokens become positions; None where samples are positions.
    """

    leaf: Leaf
    name: str
    code: int
    samples: int
    weight: float
    chosen: bool
    packed: Packed | None = None

    @property
    def positions(self) -> int:
        """Positions of an epoch: its samples, or the whole sequences that they fill."""
        return self.samples if self.packed is None else self.packed.epoch(self.code)

    @property
    def tokens(self) -> int | None:
        """How many tokens its places are cut from; None without end, and where samples are positions."""
        if self.packed is None or self.places is None:
            return None
        epochs = self.leaf.max_epochs
        return self.packed.tokens(self.code, 1.0 if epochs is None else epochs)

    @property
    def places(self) -> int | None:
        """How many places it may fill; None without end. Exact in the decimals of `max_epochs` as written."""
        epochs = self.leaf.max_epochs
        if epochs is None and self.leaf.on_exhaust == "repeat":
            return None
        if self.packed is not None:
            return self.packed.places(self.code, 1.0 if epochs is None else epochs)
        return self.samples if epochs is None else math.floor(self.samples * Fraction(repr(epochs)))

    @property
    def component(self) -> PlanComponent:
        """The member as a plan holds it."""
        policy = "repeat" if self.places is None else self.leaf.at_last
        return PlanComponent(self.name, self.weight, self.positions, self.places, policy)


def members(
    spec: Spec, leaves: Sequence[Leaf], labels: Labels, packed: Packed | None = None
) -> tuple[list[Member], Group]:
    """The components of a plan, those of weight 0 too, and the weights of those that are chosen.

    Args:
        spec: The spec.
        leaves: The leaves of its mixture.
        labels: What the engine said.
        packed: How tokens become positions; None where samples are positions.

    Returns:
        Leaves in the order of the spec, groups by name; and the weight tree of the chosen ones, numbered from 0.

    Raises:
        SpecError: A component matches no sample, a value has a weight and is not there, two groups have one name, …;
            all such issues at once.
    """
    issues = Issues()
    totals = labels.counts.sum(axis=0).tolist()
    sizes = {leaf.label: _size(leaf, labels.groups, totals) for leaf in leaves}
    _report_empty(spec, sizes, int(labels.kept.sum()), issues)
    as_samples = codes_of_samples(leaves, labels)
    sizes_ = totals
    if packed is not None and spec.mixture.unit != "samples":
        sizes_ = [totals[c] if as_samples[c] else packed.epoch(c) for c in range(len(totals))]
    parts, whole = tree(spec.mixture, leaves, labels.groups, sizes_, issues)
    if packed is not None and spec.mixture.unit == "samples":
        means = [1.0 if as_samples[p.code] else packed.of_a_sample(p.code, totals[p.code]) for p in parts]
        whole = in_sequences(whole, means)
    numbers, mixture = chosen(whole, [totals[part.code] for part in parts])
    weights = dict(zip(numbers, shares(mixture, 0, [True] * len(numbers)), strict=True))
    found = [
        Member(
            part.leaf,
            part.name,
            part.code,
            totals[part.code],
            weights.get(number, 0.0),
            number in weights,
            None if as_samples[part.code] else packed,
        )
        for number, part in enumerate(parts)
    ]
    report_columns(spec, found, labels, issues)
    _report_names(found, issues)
    _report_places(found, issues)
    if packed is not None:
        _report_short(found, packed, issues)
    if issues.found:
        raise SpecError(issues.found)
    return found, mixture


def _report_short(found: Sequence[Member], packed: Packed, issues: Issues) -> None:
    """Report components whose tokens do not fill one sequence."""
    row = packed.stride + packed.overlap
    for member in found:
        if member.packed is None:
            continue
        held = packed.totals[member.code]
        if member.chosen and packed.rows is not None:
            _report_rows(member, packed.rows[member.code], issues)
        elif member.chosen and (member.places == 0 or not held):
            issues.add(
                member.leaf.place,
                f"component {member.name!r}: its {member.samples:,} samples have {held:,} tokens, and a sequence takes "
                f"{row:,}; give it weight 0, more data, a higher `max_epochs`, or lower `sequence_length`",
            )


def _report_rows(member: Member, rows: int, issues: Issues) -> None:
    """Report a component of whole documents that gives no row."""
    if rows and member.places != 0:
        return
    few = "have no tokens" if not rows else f"fill {rows:,} rows, and `max_epochs` allows less than one"
    what = "give it weight 0 or more data" if not rows else f"at least {1 / rows:g} is needed"
    issues.add(member.leaf.place, f"component {member.name!r}: its {member.samples:,} samples {few}; {what}")


def _size(leaf: Leaf, groups: Mapping[int, Mapping[Key, int]], totals: Sequence[int]) -> int:
    if leaf.group is None:
        return totals[leaf.label]
    return sum(totals[code] for code in groups.get(leaf.label, {}).values())


def _report_empty(spec: Spec, sizes: Mapping[int, int], kept: int, issues: Issues) -> None:
    parts = spec.mixture.parts
    passed = "pass the filter" if spec.filter is not None else "are in the catalog"
    if isinstance(parts, Grouped):
        if not kept:
            issues.add(parts.place, f"by: no samples {passed}; nothing can be grouped")
        elif not any(sizes.values()):
            message = f"by: {kept:,} samples {passed}; `holdout` and `exclude` leave none: nothing can be grouped"
            issues.add(parts.place, message)
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
        if member.packed is None and member.places == 0 and member.samples:
            issues.add(
                member.leaf.place,
                f"component {member.name!r}: max_epochs {member.leaf.max_epochs:g} of {member.samples} samples is less "
                f"than one sample; at least {1 / member.samples:g} is needed",
            )
