"""From what an Energon metadataset blends to the mixture of a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mixtera.importers.findings import Findings
from mixtera.importers.model import DraftComponent, DraftMixture
from mixtera.importers.naming import Names, component_name
from mixtera.spec.model import Place

Mode: TypeAlias = Literal["single", "blend", "epochized"]


@dataclass(frozen=True, slots=True)
class Part:
    """A dataset or a blend of the input.

    Attributes:
        name: What it is called.
        value: Its weight, or its repetitions.
        mode: What it is: one dataset, or how its parts are blended.
        sources: The sources below it.
        parts: What it blends.
        samples: Number of samples of a dataset, where it is known.
        place: Where it stands.
    """

    name: str
    value: float
    mode: Mode
    sources: tuple[str, ...]
    parts: tuple[Part, ...]
    samples: int | None
    place: Place


def mixture_of(tree: Part, split: str, findings: Findings) -> DraftMixture:
    """The mixture of what a split of a metadataset blends."""
    if split != "train":
        for part in _weighted(tree):
            message = f"{part.name}: the weight or the repetitions: Energon reads every split but train once through"
            findings.untranslated(part.place, message)
        return DraftMixture((), "stop", (f"Energon reads the split {split} once through: each sample once.",))
    if tree.mode == "single":
        return DraftMixture((), "repeat", (_FOR_EVER,))
    if tree.mode == "blend":
        return DraftMixture(_blended(tree.parts), "repeat", (_FOR_EVER,))
    known = all(part.samples is not None for part in _leaves(tree))
    if not known:
        message = (
            "how many samples the datasets have is not at hand: the weights are the repetitions. Each sample comes as "
            "often as it should, but datasets end one after the other; to mix them evenly, multiply each weight with "
            "the samples that `mixtera catalog ls` counts"
        )
        findings.untranslated(tree.place, message)
    weights = "repetitions × samples" if known else "repetitions"
    comment = (
        f"blend_epochized: each sample `max_epochs` times, then the end; the weights are {weights}, and the places of "
        "what is done go to the others."
    )
    return DraftMixture(_epochized(tree.parts, 1.0, known), "redistribute", (comment,))


_FOR_EVER: Final = (
    "Energon begins each dataset anew when it has run out, without end: a `budget: {samples: …}` gives the mixture one."
)


def _weighted(part: Part) -> list[Part]:
    own = [one for one in part.parts if one.value != 1.0]
    return [*own, *(one for inner in part.parts for one in _weighted(inner))]


def _leaves(part: Part) -> list[Part]:
    return [part] if part.mode == "single" else [leaf for inner in part.parts for leaf in _leaves(inner)]


def _blended(parts: tuple[Part, ...]) -> tuple[DraftComponent, ...]:
    names = Names()
    return tuple(
        DraftComponent(names.new(component_name(p.name)), p.sources, p.value, None, _blended(p.parts)) for p in parts
    )


def _epochized(parts: tuple[Part, ...], repetitions: float, known: bool) -> tuple[DraftComponent, ...]:
    names = Names()
    return tuple(
        DraftComponent(
            names.new(component_name(part.name)),
            part.sources,
            _weight(part, repetitions, known),
            repetitions * part.value if part.mode == "single" else None,
            _epochized(part.parts, repetitions * part.value, known),
        )
        for part in parts
    )


def _weight(part: Part, repetitions: float, known: bool) -> float:
    """Repetitions × samples of all that is below, or the repetitions where the samples are not known."""
    repeated = repetitions * part.value
    if part.mode != "single":
        return sum(_weight(inner, repeated, known) for inner in part.parts)
    return repeated * (part.samples or 0) if known else repeated
