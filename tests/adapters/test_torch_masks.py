"""Masks of packed rows in PyTorch, against loops over tokens and against attention to each document alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.adapters.torch.masks import cu_seqlens, document_mask, flex_block_mask
from mixtera.errors import PlanError

LENGTHS = st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=4), min_size=1, max_size=3)


def packed(rows: list[list[int]], padded: bool = False) -> torch.Tensor:
    """Document ids of rows of documents of those lengths, to the length of the longest; -1, or a last document."""
    tokens = max(map(sum, rows))
    ids = [[place for place, length in enumerate(row) for _ in range(length)] for row in rows]
    return torch.tensor([row + [-1 if padded else 9] * (tokens - len(row)) for row in ids], dtype=torch.int32)


@given(rows=LENGTHS, padded=st.booleans())
def test_a_token_sees_what_is_before_it_in_its_document(rows: list[list[int]], padded: bool) -> None:
    ids = packed(rows, padded)
    mask = document_mask(ids)
    batch, tokens = ids.shape
    assert mask.shape == (batch, 1, tokens, tokens)
    assert mask.dtype == torch.bool
    for b in range(batch):
        for q in range(tokens):
            for k in range(tokens):
                assert mask[b, 0, q, k] == (k <= q and ids[b, q] == ids[b, k])


@given(rows=LENGTHS, padded=st.booleans())
def test_edges_are_those_of_the_documents(rows: list[list[int]], padded: bool) -> None:
    ids = packed(rows, padded)
    edges, longest = cu_seqlens(ids)
    tokens = ids.shape[1]
    lengths = [length for row in rows for length in [*row, tokens - sum(row)] if length]
    assert edges.dtype == torch.int32
    assert edges.tolist() == torch.tensor([0, *lengths]).cumsum(0).tolist()
    assert longest == max(lengths)


def test_an_empty_batch_has_no_documents() -> None:
    edges, longest = cu_seqlens(torch.zeros(0, 4, dtype=torch.int32))
    assert (edges.tolist(), longest) == ([0], 0)


@settings(max_examples=10, deadline=None)
@given(rows=LENGTHS, padded=st.booleans())
def test_attention_to_a_packed_row_is_attention_to_its_documents(rows: list[list[int]], padded: bool) -> None:
    ids = packed(rows, padded)
    q, k, v = torch.randn(3, len(ids), 2, ids.shape[1], 8, generator=torch.Generator().manual_seed(0))
    attend = torch.nn.functional.scaled_dot_product_attention
    whole = attend(q, k, v, attn_mask=document_mask(ids))
    assert not whole.isnan().any()
    edges, _ = cu_seqlens(ids)
    flat = [part.transpose(1, 2).flatten(0, 1) for part in (q, k, v)]  # [B × T, heads, 8], as varlen kernels take it
    alone = [
        attend(*(part[start:stop].transpose(0, 1) for part in flat), is_causal=True).transpose(0, 1)
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    torch.testing.assert_close(whole.transpose(1, 2).flatten(0, 1), torch.cat(alone))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")  # which needs a C++ compiler
def test_the_block_mask_of_flex_attention_is_the_same_mask() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    ids = packed([[40, 100, 116], [200, 20], [256]], padded=True)
    blocks = flex_block_mask(ids, block_size=32)
    dense = document_mask(ids)
    q, k, v = torch.randn(3, 3, 2, 256, 16, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=dense)
    torch.testing.assert_close(flex_attention(q, k, v, block_mask=blocks), expected)
    of_blocks = dense.view(3, 1, 8, 32, 8, 32).any(-1).any(-2)
    assert blocks.to_dense().bool().equal(of_blocks)
    assert blocks.sparsity() > 50


@pytest.mark.parametrize("wrong", [torch.zeros(4, dtype=torch.int32), torch.zeros(2, 4), torch.zeros(2, 4) > 0])
def test_what_is_no_document_ids_is_refused(wrong: torch.Tensor) -> None:
    for use in (document_mask, flex_block_mask, cu_seqlens):
        with pytest.raises(PlanError, match=r"document_ids are torch\..*give integers of the shape \[batch, tokens\]"):
            use(wrong)
