"""Reads `floor` and `ceiling`, and checks that the bounds of siblings can be kept together."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from mixtera.spec.fields import Fields
from mixtera.spec.issues import Issues
from mixtera.spec.model import Bounds, Change, Component, Place


def read_bounds(fields: Fields, issues: Issues) -> Bounds:
    """The bounds in a section; none where they are wrong."""
    floor, ceiling = (_share(fields, name, issues) for name in ("floor", "ceiling"))
    if floor is not None and ceiling is not None and floor > ceiling:
        message = (
            f"floor {floor:g} is above ceiling {ceiling:g}: no share is both; lower the floor or raise the ceiling"
        )
        issues.add(fields.key_place("floor"), message)
        return Bounds()
    return Bounds(floor, ceiling)


def _share(fields: Fields, name: str, issues: Issues) -> float | None:
    value = fields.number(name)
    if value is None or value <= 1:
        return value
    hint = f"; for {value:g} % write {value / 100:g}" if value <= 100 else ""
    issues.add(fields.value_place(name), f"{name}: expected a share among siblings from 0 to 1, found {value:g}{hint}")
    return None


def check_bounds(components: Sequence[Component], changes: Sequence[Change], place: Place, issues: Issues) -> None:
    """Report bounds of siblings that cannot be kept, by their own weights or by those of an entry of a schedule.

    Args:
        components: The siblings.
        changes: Their schedule.
        place: Where they are listed.
        issues: Takes the issues.
    """
    if all(component.bounds == Bounds() for component in components):
        return
    floors = [(component.name, component.bounds.floor) for component in components if component.bounds.floor]
    if _sum([floor for _, floor in floors]) > 1:
        written = " + ".join(f"{name} {floor:g}" for name, floor in floors)
        message = f"the floors of these components sum to more than 1 ({written}); lower some of them"
        issues.add(place, message)
        return
    own = [component.weight for component in components]
    if not (changes and changes[0].at == 0 and changes[0].ramp is None):
        weights = [weight or 0.0 for weight in own]
        if None not in own and any(weights):
            _check_point(components, weights, [component.place for component in components], place, issues)
    for change in changes:
        _check_point(components, change.weights, [change.place] * len(components), change.place, issues)


def _check_point(
    components: Sequence[Component], weights: Sequence[float], places: Sequence[Place], whole: Place, issues: Issues
) -> None:
    """Report what cannot be kept with some weights: floors of weight 0, and ceilings that leave a part to nobody."""
    for component, weight, place in zip(components, weights, places, strict=True):
        if component.bounds.floor and not weight:
            message = (
                f"{component.name!r} has the floor {component.bounds.floor:g} and the weight 0, which is none at all"
            )
            issues.add(place, f"{message}; give it a weight above 0, or remove the floor")
    weighted = [component for component, weight in zip(components, weights, strict=True) if weight]
    ceilings = [1.0 if c.bounds.ceiling is None else c.bounds.ceiling for c in weighted]
    if weighted and _sum(ceilings) < 1:
        written = " + ".join(f"{c.name} {ceiling:g}" for c, ceiling in zip(weighted, ceilings, strict=True))
        message = f"the ceilings of the components with a weight here sum to less than 1 ({written}): nobody may have"
        issues.add(whole, f"{message} the rest; raise some of them")


def check_group_bounds(
    bounds: Bounds, groups: int, place: Place, issues: Issues, key: str = "by", what: str = "groups"
) -> bool:
    """Whether every one of some groups can keep the same bounds; reported where not.

    Args:
        bounds: The bounds.
        groups: How many groups have a weight.
        place: Where the groups are defined.
        issues: Takes the issues.
        key: The key that has the bounds.
        what: What the groups are called.
    """
    if bounds.floor and _sum([bounds.floor]) * groups > 1:
        most = _rounded(Fraction(1, groups), down=True)
        message = f"{key}: {groups:,} {what} with the floor {bounds.floor:g} each come to more than 1"
        message = f"{message}; it can be {most} at most"
    elif groups and bounds.ceiling is not None and _sum([bounds.ceiling]) * groups < 1:
        least = _rounded(Fraction(1, groups), down=False)
        message = f"{key}: {groups:,} {what} with the ceiling {bounds.ceiling:g} each come to less than 1"
        message = f"{message}: nobody may have the rest; it must be {least} at least"
    else:
        return True
    issues.add(place, message)
    return False


def _sum(values: Sequence[float | None]) -> Fraction:
    """The sum of numbers as they are written in decimals."""
    return sum((Fraction(repr(value)) for value in values if value is not None), Fraction(0))


def _rounded(share: Fraction, *, down: bool) -> str:
    """A share in few digits, on the safe side."""
    digits = 4
    scaled = share * 10**digits
    while scaled < 100:
        digits += 1
        scaled = share * 10**digits
    whole = int(scaled) + (0 if down or scaled.denominator == 1 else 1)
    return f"{Decimal(whole).scaleb(-digits).normalize():f}"
