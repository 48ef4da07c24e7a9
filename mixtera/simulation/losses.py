"""Where the losses of a simulation come from: a table that a training wrote, or power laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.algorithm import Feedback
from mixtera.errors import AlgorithmError

Floats = npt.NDArray[np.float64]
COLUMNS: Final = ("step", "component", "loss_sum", "loss_count")
SUFFIXES: Final = (".parquet", ".csv", ".arrow", ".feather")
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_PLASTIC: Final = 0.7548776662466927


class Losses(Protocol):
    """Says what a training would report."""

    def report(self, step: int, samples: Floats, before: Floats) -> Feedback | None:
        """The report of a step; None where there is none.

        Args:
            step: The step.
            samples: [K] samples of each component in its batch.
            before: [K] samples of each before it.
        """


@dataclass(frozen=True, slots=True)
class Law:
    """L(n) = irreducible + reducible · (1 + n)^(−exponent), after n samples of the component."""

    irreducible: float
    reducible: float
    exponent: float


def default_law(number: int) -> Law:
    """A law for a component, by its number from 0: made up, different for each, the same every time."""
    one, other = (number + 1) * _GOLDEN % 1, (number + 1) * _PLASTIC % 1
    return Law(round(1.0 + 1.5 * one, 4), round(4.0 + 6.0 * other, 4), round(0.1 + 0.4 * one, 4))


class Modelled:
    """Losses by power laws; the sums are over samples."""

    def __init__(self, components: Sequence[str], given: Mapping[str, Law]) -> None:
        for name in given:
            if name not in components:
                raise AlgorithmError(f"a law is given for {name!r}, and there are: {', '.join(components)}")
        self.laws = tuple(given.get(name) or default_law(number) for number, name in enumerate(components))
        self._numbers = np.array([[law.irreducible, law.reducible, law.exponent] for law in self.laws]).T

    def report(self, step: int, samples: Floats, before: Floats) -> Feedback:
        """The losses after what was seen before the step."""
        irreducible, reducible, exponent = self._numbers
        losses = irreducible + reducible * (1.0 + before) ** -exponent
        return Feedback(step, (losses * samples).tolist(), samples.tolist(), samples.tolist())


class Recorded:
    """Losses as a training reported them; its own steps and sums, whatever the simulated weights are."""

    def __init__(self, components: Sequence[str], table: pa.Table, name: str) -> None:
        numbers = {component: number for number, component in enumerate(components)}
        steps, named, sums, counts = _columns(table, name)
        if unknown := sorted(set(named) - set(numbers)):
            raise AlgorithmError(
                f"{name}: losses of {', '.join(map(repr, unknown[:5]))}, which is no component; there are: "
                f"{', '.join(components)}"
            )
        self._steps, rows = np.unique(steps, return_inverse=True)
        self._sums = np.zeros((len(self._steps), len(components)))
        self._counts = np.zeros_like(self._sums)
        columns = np.array([numbers[each] for each in named], np.int64)
        np.add.at(self._sums, (rows, columns), sums)
        np.add.at(self._counts, (rows, columns), counts)
        self._rows = {step: row for row, step in enumerate(self._steps.tolist())}

    @property
    def steps(self) -> int:
        """Steps up to the last report."""
        return int(self._steps[-1]) + 1

    def report(self, step: int, samples: Floats, before: Floats) -> Feedback | None:
        """What was recorded for this step."""
        row = self._rows.get(step)
        if row is None:
            return None
        return Feedback(step, self._sums[row].tolist(), self._counts[row].tolist(), samples.tolist())


def recorded(path: str, components: Sequence[str]) -> Recorded:
    """Read recorded losses: a table with the columns step, component, loss_sum and loss_count.

    Raises:
        AlgorithmError: It is no such table, or names other components.
    """
    readers = dict(zip(SUFFIXES, (_parquet, _csv, _arrow, _arrow), strict=True))
    read = readers.get(Path(path).suffix.lower())
    if read is None:
        raise AlgorithmError(f"{path}: recorded losses are a table ({', '.join(SUFFIXES)}); or write `model`")
    try:
        table = read(path)
    except FileNotFoundError as error:
        raise AlgorithmError(f"{path}: there is no such file; or write `model`") from error
    except (pa.ArrowException, OSError) as error:
        raise AlgorithmError(f"{path}: cannot be read as {Path(path).suffix}: {error}") from error
    return Recorded(components, table, path)


def _parquet(path: str) -> pa.Table:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path)


def _csv(path: str) -> pa.Table:
    import pyarrow.csv

    return pyarrow.csv.read_csv(path)


def _arrow(path: str) -> pa.Table:
    import pyarrow.feather

    return pyarrow.feather.read_table(path)


def _columns(table: pa.Table, name: str) -> tuple[npt.NDArray[np.int64], list[str], Floats, Floats]:
    if missing := [column for column in COLUMNS if column not in table.column_names]:
        raise AlgorithmError(
            f"{name}: the column {', '.join(missing)} is missing; there are: {', '.join(table.column_names)}"
        )
    if not table.num_rows:
        raise AlgorithmError(f"{name}: there is no row in it")
    types: dict[str, pa.DataType] = dict(
        zip(COLUMNS, (pa.int64(), pa.string(), pa.float64(), pa.float64()), strict=True)
    )
    cast: Callable[[str], pa.ChunkedArray] = lambda column: _cast(table, column, types[column], name)  # noqa: E731
    steps = cast("step").to_numpy()
    if steps.min() < 0:
        raise AlgorithmError(f"{name}: the step {steps.min()} is below 0")
    return steps, cast("component").to_pylist(), cast("loss_sum").to_numpy(), cast("loss_count").to_numpy()


def _cast(table: pa.Table, column: str, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    found = table[column]
    try:
        result = found.cast(kind)
    except pa.ArrowInvalid as error:
        raise AlgorithmError(f"{name}: {column} is {found.type}, and {kind} is needed: {error}") from error
    if column in ("step", "component") and result.null_count:
        raise AlgorithmError(f"{name}: {result.null_count:,} rows have no {column}")
    return result
