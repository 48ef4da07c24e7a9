"""What keeps the documents of a packed row apart in attention: SDPA, FlexAttention, and varlen kernels.

All begin with `document_ids` [B, T]: which document of its row a token belongs to, the same for the tokens of one and
different for neighbours. Negative ids are padding: a group of its own, so that no row of a mask is empty, which would
make NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mixtera.errors import PlanError, PluginError

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


def document_mask(document_ids: torch.Tensor) -> torch.Tensor:
    """The mask of `scaled_dot_product_attention`: causal, within a document.

    It has T² values a row: for long rows FlexAttention or a varlen kernel is the better way.

    Args:
        document_ids: [B, T] integers.

    Returns:
        [B, 1, T, T] bool, on the same device: True where the token of the row sees that of the column.
    """
    ids = _checked(document_ids)
    same = ids[:, :, None] == ids[:, None, :]
    return same.tril().unsqueeze(1)


def flex_block_mask(document_ids: torch.Tensor, block_size: int = 128) -> BlockMask:
    """The `block_mask` of `flex_attention`: causal, within a document; blocks without such pairs are skipped.

    Args:
        document_ids: [B, T] integers.
        block_size: Tokens per block, as the kernel works.

    Raises:
        PluginError: This PyTorch has no FlexAttention.
    """
    ids = _checked(document_ids)
    try:
        from torch.nn.attention.flex_attention import create_block_mask
    except ImportError as error:
        raise PluginError(
            f"FlexAttention needs PyTorch 2.5 or newer, this is {torch.__version__}: pip install -U torch, or use "
            "document_mask"
        ) from error

    def sees(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (query >= key) & (ids[batch, query] == ids[batch, key])

    batch, tokens = ids.shape
    return create_block_mask(
        sees, B=batch, H=None, Q_LEN=tokens, KV_LEN=tokens, device=str(ids.device), BLOCK_SIZE=block_size
    )


def cu_seqlens(document_ids: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Edges of the documents in the flattened batch, as varlen attention wants them.

    Ask while the ids are on the CPU: the number of documents is a Python number, for which a GPU would be waited for.

    Args:
        document_ids: [B, T] integers; the batch is flattened row by row, and a document never goes on in another row.

    Returns:
        [documents + 1] int32, on the same device, from 0 to B × T; and the tokens of the longest one.
    """
    ids = _checked(document_ids)
    begins = torch.ones_like(ids, dtype=torch.bool)
    begins[:, 1:] = ids[:, 1:] != ids[:, :-1]
    starts = begins.flatten().nonzero().flatten()
    edges = torch.cat([starts, starts.new_tensor([ids.numel()])]).to(torch.int32)
    longest = int(edges.diff().max()) if ids.numel() else 0
    return edges if ids.numel() else edges[:1], longest


def _checked(document_ids: torch.Tensor) -> torch.Tensor:
    if document_ids.dim() != 2 or document_ids.is_floating_point() or document_ids.dtype == torch.bool:
        raise PlanError(
            f"document_ids are {document_ids.dtype} of the shape {list(document_ids.shape)}; give integers of the "
            "shape [batch, tokens]: the column `document_ids` of a batch"
        )
    return document_ids
