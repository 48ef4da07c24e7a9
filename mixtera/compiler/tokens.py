"""Token counts: what the catalog knows of every sample, and the layout of a plan of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.arrow import to_numpy
from mixtera.artifact.model import PlanData, TokenLayout, TokenParameters
from mixtera.catalog.indexed import IndexedSource
from mixtera.compiler.dense import dense_of
from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.fitted import check_no_curricula, fitted
from mixtera.compiler.packed import Packed
from mixtera.compiler.rows import Rows
from mixtera.compiler.scratch import scratch
from mixtera.errors import CatalogError
from mixtera.order.fitting import Windows
from mixtera.spec.delivery import is_text
from mixtera.spec.model import Spec
from mixtera.tokens.columns import count_column, is_tokenized
from mixtera.tokens.parameters import token_parameters

_BLOCK: Final = 1 << 20
_MOST: Final = np.iinfo(np.uint32).max


class TokenCounts:
    """The tokens of all rows, as a plan delivers them: with what stands around a document, and cut where it is long.

    Of a spec without `tokens`, and of one that makes each document a row, nothing is counted.
    """

    def __init__(
        self, parameters: TokenParameters | None, columns: Sequence[str], around: Sequence[bool], rows: int
    ) -> None:
        """Prepare.

        Args:
            parameters: How samples become rows of tokens; None where they do not.
            columns: Per source, the column of the catalog that has the counts, or an empty text: its samples are no
                documents. Empty where nothing is counted.
            around: Per source, whether bos and eos are put around its documents; not where they come as tokens.
            rows: Rows of all sources.
        """
        self._parameters, self._columns = parameters, columns
        self._counted = len(columns) > 0
        self._fitted: list[Windows] = []
        self._rows: npt.NDArray[np.uint32] = scratch(rows if self._counted else 0, np.uint32)
        if parameters is not None:
            more = (parameters.bos is not None) + (parameters.eos is not None)
            self._more = [more if put else 0 for put in around]
            self._longest = parameters.max_document_tokens or _MOST

    @property
    def arrays(self) -> tuple[npt.NDArray[np.uint32], ...]:
        """Tokens of all rows."""
        return (self._rows,)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that have to leave the engine with the labels, each once."""
        return tuple(dict.fromkeys(column for column in self._columns if column))

    def see(self, source: int, rows: Rows) -> None:
        """Take in the rows of a source; a document without tokens stays without any."""
        if not self._counted or not self._columns[source]:
            return
        column = rows.groups.column(self._columns[source])
        count = to_numpy(column.fill_null(0) if column.null_count else column).astype(np.int64)
        self._rows[rows.number] = np.where(count > 0, np.minimum(count + self._more[source], self._longest), 0)

    def packed(
        self,
        codes: npt.NDArray[np.unsignedinteger],
        number: int,
        excluded: npt.NDArray[np.bool_],
        as_samples: npt.NDArray[np.bool_],
    ) -> Packed | None:
        """How tokens become positions; None where samples are positions.

        Args:
            codes: [rows] code of each row.
            number: How many codes there are; rows of a higher one are not selected.
            excluded: [rows] whether each row is excluded: it has no tokens then. Empty where no list is given.
            as_samples: [number] codes whose rows are delivered as they are: they have no tokens either.
        """
        if self._parameters is None or not self._counted:
            return None
        found = np.zeros(number, np.int64)
        for first in range(0, len(self._rows), _BLOCK):
            tokens = self._rows[first : first + _BLOCK]
            if len(excluded):
                tokens[excluded[first : first + _BLOCK]] = 0
            part = codes[first : first + len(tokens)]
            kept = part < number
            if as_samples.any():
                tokens[kept & np.append(as_samples, False)[np.minimum(part, number)]] = 0
            # sums of doubles are exact here: a block has fewer than 2^53 tokens
            found += np.bincount(part[kept], tokens[kept], number).astype(np.int64)
        p = self._parameters
        if p.fits:
            self._fitted = fitted(self._rows, codes, number, p)
        rows = [int(windows.rows.sum()) for windows in self._fitted] if p.fits else None
        return Packed(p.stride, p.overlap, found.tolist(), rows)

    def laid_out(self, data: PlanData, index: FileIndex, codes: Sequence[int]) -> PlanData:
        """A plan whose samples are chosen, with its layout.

        Args:
            data: The plan.
            index: Its files.
            codes: Code of each of its components.
        """
        if self._parameters is None:
            return data
        layout = TokenLayout(self._parameters, np.empty(0, np.uint32), np.empty(0, np.int64))
        if not self._counted:
            return replace(data, tokens=layout)
        if self._parameters.fits:
            layout = replace(layout, windows=Windows.joined([self._fitted[code] for code in codes]))
        return replace(data, tokens=self._of_samples(layout, data, index))

    def _of_samples(self, layout: TokenLayout, data: PlanData, index: FileIndex) -> TokenLayout:
        dense, total = dense_of(data, index), len(data.rows)
        counts: npt.NDArray[np.uint32] = scratch(total, np.uint32)
        for first in range(0, total, _BLOCK):
            last = min(first + _BLOCK, total)
            counts[first:last] = self._rows[dense.rows(first, last)]
        sizes = to_numpy(data.entries.column("count")).astype(np.int64)
        heads: Int64s = np.cumsum(sizes) - sizes  # an entry has at least one sample, so these ascend strictly
        sums = np.add.reduceat(counts, heads, dtype=np.int64) if total else np.empty(0, np.int64)
        return replace(layout, counts=counts, entry_counts=sums)


def token_counts(spec: Spec, indexed: Sequence[IndexedSource], rows: int) -> TokenCounts:
    """What a spec counts, before any row is seen.

    Args:
        spec: The spec.
        indexed: The snapshots of its sources, in its order.
        rows: Rows of all of them.

    Raises:
        SpecError: The tokenizer cannot be opened, or lacks a token that is asked for; or a curriculum is asked for
            where whole documents are fitted into rows.
        CatalogError: The catalog has no counts by it.
    """
    if spec.tokens is None:
        return TokenCounts(None, (), (), 0)
    check_no_curricula(spec)
    parameters = token_parameters(spec.tokens)
    if not spec.tokens.packs:
        return TokenCounts(parameters, (), (), 0)
    columns = [count_column(source, parameters) if is_text(source, spec.tokens) else "" for source in spec.sources]
    lacking = [one.name for one, column in zip(indexed, columns, strict=True) if column and column not in one.types]
    if lacking:
        raise CatalogError(
            f"the catalog has no token counts of {', '.join(lacking)} by the tokenizer {spec.tokens.tokenizer}: "
            f"`mixtera index {spec.file}` counts them"
        )
    return TokenCounts(parameters, columns, [not is_tokenized(source.format) for source in spec.sources], rows)
