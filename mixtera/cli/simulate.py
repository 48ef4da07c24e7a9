"""`mixtera simulate`: what a mixture that follows the training would do, without training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.cli.numbers import whole_number
from mixtera.cli.options import add_engine
from mixtera.cli.output import complain, json_text, note, write, write_file
from mixtera.errors import AlgorithmError, CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mixtera.simulation import Component
    from mixtera.simulation.losses import Law, Losses
    from mixtera.spec import Spec

NAME: Final = "simulate"
HELP: Final = "run a mixing algorithm against recorded or modelled losses, without training"
_USAGE: Final = 2
_MODEL: Final = "model"
_BATCH: Final = 256
_STEPS: Final = 5_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("spec", metavar="SPEC", help="a spec whose mixture has `dynamic`")
    parser.add_argument(
        "--losses",
        required=True,
        metavar="FILE|model",
        help="a table (.parquet, .csv, .arrow) of step, component, loss_sum, loss_count; or `model`: power laws",
    )
    parser.add_argument(
        "--law",
        action="append",
        default=[],
        type=_law,
        metavar="NAME=E,B,A",
        help="with model: the loss of a component after n samples is E + B·(1 + n)^−A (default: made up for each)",
    )
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        type=_size,
        metavar="NAME=N",
        help="samples of a component (default: those of the catalog, if the spec is indexed)",
    )
    parser.add_argument(
        "--steps",
        type=whole_number(1),
        metavar="N",
        help=f"steps (default: those recorded; with model those of the budget, else {_STEPS:,})",
    )
    parser.add_argument(
        "--batch", type=whole_number(1), metavar="B", help=f"samples of a step (default: the budget's, else {_BATCH})"
    )
    parser.add_argument(
        "--points", type=whole_number(2), metavar="P", help="points in time that are shown (default: 12; html: 60)"
    )
    parser.add_argument(
        "--format", choices=("text", "json", "html"), help="text or html for people, json for programs (default: text)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to a file; an older one there is replaced")
    add_engine(parser, "that counts samples")


def run(arguments: argparse.Namespace) -> int:
    """Simulate it."""
    if arguments.law and arguments.losses != _MODEL:
        complain("mixtera simulate: --law goes with --losses model")
        return _USAGE
    if arguments.json and arguments.format not in (None, "json"):
        complain(f"mixtera simulate: --json is another format than --format {arguments.format}; give one of them")
        return _USAGE
    text = _simulated(arguments)
    if arguments.output is None:
        write(text)
    else:
        write_file(Path(arguments.output), text if text.endswith("\n") else text + "\n")
        note(arguments, f"{arguments.output}: written")
    return 0


def _simulated(arguments: argparse.Namespace) -> str:
    from mixtera.compiler.dynamic import settings_of
    from mixtera.simulation import simulate
    from mixtera.simulation.text import as_json, as_text
    from mixtera.spec import load

    spec = load(arguments.spec)
    dynamic = spec.mixture.dynamic
    if dynamic is None:
        raise AlgorithmError(
            f"{arguments.spec}: the mixture has no `dynamic`, so its weights are planned: `mixtera explain` shows "
            "them; or add `dynamic: {algorithm: …}`"
        )
    components = _components(arguments, spec)
    losses = _losses(arguments, components)
    batch = arguments.batch or (spec.mixture.budget.batch if spec.mixture.budget else None) or _BATCH
    settings = settings_of(dynamic)
    steps = arguments.steps or _steps(spec, losses, batch)
    view = "json" if arguments.json else arguments.format or "text"
    points = arguments.points or (60 if view == "html" else 12)
    found = simulate(components, settings, losses, steps, batch, points)
    if view == "html":
        from mixtera.simulation.page import html

        return html(found, spec.name)
    return json_text(as_json(found)) if view == "json" else as_text(found)


def _components(arguments: argparse.Namespace, spec: Spec) -> tuple[Component, ...]:
    """The components: over the catalog, or by the spec alone where nothing is indexed."""
    from mixtera.catalog import Catalog
    from mixtera.simulation import components_of

    sizes = dict(arguments.size)
    try:
        catalog = Catalog.open(arguments.catalog, create=False)
        for source in spec.sources:
            catalog.source(source)
    except CatalogError as error:
        note(arguments, f"without the catalog: {error}")
        return components_of(spec, None, sizes)
    return components_of(spec, catalog, sizes, arguments.engine)


def _losses(arguments: argparse.Namespace, components: Sequence[Component]) -> Losses:
    from mixtera.simulation.losses import Modelled, recorded

    names = [component.name for component in components]
    if arguments.losses == _MODEL:
        return Modelled(names, dict(arguments.law))
    return recorded(arguments.losses, names)


def _steps(spec: Spec, losses: Losses, batch: int) -> int:
    from mixtera.simulation import Recorded

    if isinstance(losses, Recorded):
        return losses.steps
    budget = spec.mixture.budget
    return _STEPS if budget is None else max(1, budget.samples // batch)


def _pair(text: str, what: str, convert: Callable[[str], object]) -> tuple[str, object]:
    name, sign, value = text.rpartition("=")
    try:
        return name, convert(value if sign and name else "")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None


def _size(text: str) -> tuple[str, object]:
    return _pair(text, "NAME=N, with a whole number of samples from 1", _count)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _law(text: str) -> tuple[str, object]:
    return _pair(text, "NAME=E,B,A, with three numbers that are not negative", _three)


def _three(text: str) -> Law:
    from mixtera.simulation.losses import Law

    irreducible, reducible, exponent = (float(part) for part in text.split(","))
    if not all(0 <= part < 1e300 for part in (irreducible, reducible, exponent)):
        raise ValueError(text)
    return Law(irreducible, reducible, exponent)
