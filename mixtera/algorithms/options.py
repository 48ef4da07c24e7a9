"""The options of an algorithm: checked, completed by their defaults."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixtera.contracts.algorithm import Algorithm, Option
from mixtera.errors import AlgorithmError


def completed(algorithm: Algorithm, options: Mapping[str, Any], components: Sequence[str]) -> dict[str, Any]:
    """A value for every option of an algorithm.

    Args:
        algorithm: The algorithm.
        options: What is given.
        components: Names that options by component may use.

    Raises:
        AlgorithmError: An option is unknown or missing, or its value is not allowed.
    """
    known = {option.name: option for option in algorithm.options}
    for name in options:
        if name not in known:
            raise AlgorithmError(f"the algorithm {algorithm.name} has no option {name!r}{_near(name, list(known))}")
    result = {}
    for option in algorithm.options:
        value = options.get(option.name)
        if value is None and option.required:
            raise AlgorithmError(f"the algorithm {algorithm.name} needs the option {option.name!r}: {option.meaning}")
        if value is not None:
            _check(algorithm, option, value, components)
        result[option.name] = option.default if value is None else value
    return result


def _check(algorithm: Algorithm, option: Option, value: object, components: Sequence[str]) -> None:
    if problem := option.problem(value):
        raise AlgorithmError(f"{algorithm.name}: {option.name}: {problem}, found {value!r}")
    for name in named(option, value):
        if name not in components:
            raise AlgorithmError(
                f"{algorithm.name}: {option.name}: no component is named {name!r}{_near(name, components)}"
            )


def named(option: Option, value: Any) -> Iterator[str]:  # noqa: ANN401 - checked by the option
    """The components that a value names."""
    if option.kind in ("numbers", "graph"):
        yield from value
    if option.kind == "graph":
        for row in value.values():
            yield from row


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{f'; did you mean {near[0]!r}?' if near else ';'} there are: {', '.join(known) or 'none'}"
