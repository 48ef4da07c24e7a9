"""What keeps the documents of a packed row apart in attention: segment ids and masks. All of it works under `jit`.

Everything begins with `document_ids` [B, T]: which document of its row a token belongs to, the same for the tokens of
one and different for neighbours. Negative ids are padding.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mixtera.errors import PlanError


def segment_ids(document_ids: jax.Array) -> jax.Array:
    """Segment ids as splash attention, MaxText and T5X count them: documents from 1, padding 0.

    For the Pallas kernel, which takes one row: `jax.vmap` over `SegmentIds(q=ids, kv=ids)`, with a causal mask.

    Args:
        document_ids: [B, T] integers.

    Returns:
        [B, T] int32.
    """
    ids = _checked(document_ids)
    return jnp.where(ids < 0, 0, ids + 1).astype(jnp.int32)


def document_mask(document_ids: jax.Array) -> jax.Array:
    """A mask for `jax.nn.dot_product_attention` and the like: causal, within a document.

    Padding sees padding before it, so that no row of the mask is empty, which would make NaN.

    Args:
        document_ids: [B, T] integers.

    Returns:
        [B, 1, T, T] bool: True where the token of the row sees that of the column.
    """
    segments = segment_ids(document_ids)
    same = segments[:, :, None] == segments[:, None, :]
    return jnp.tril(same)[:, None]


def _checked(document_ids: jax.Array) -> jax.Array:
    ids = jnp.asarray(document_ids)
    if ids.ndim != 2 or not jnp.issubdtype(ids.dtype, jnp.integer):
        raise PlanError(
            f"document_ids are {ids.dtype} of the shape {list(ids.shape)}; give integers of the shape [batch, tokens]: "
            "the column `document_ids` of a batch"
        )
    return ids
