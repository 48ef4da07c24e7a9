"""What components deliver: tokens, or content columns of their samples as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import Delivery
from mixtera.compiler.leaves import Leaf
from mixtera.spec.delivery import delivering, names_of, text_columns
from mixtera.spec.issues import Issues
from mixtera.spec.model import Spec

if TYPE_CHECKING:
    from mixtera.compiler.components import Member
    from mixtera.compiler.labels import Labels


def codes_of_samples(leaves: Sequence[Leaf], labels: Labels) -> npt.NDArray[np.bool_]:
    """[codes] whether the samples of each code are delivered as they are, and not as tokens.

    Args:
        leaves: The leaves of the mixture.
        labels: What the engine said.
    """
    found: npt.NDArray[np.bool_] = np.zeros(labels.counts.shape[1], np.bool_)
    for leaf in leaves:
        if leaf.deliver:
            codes = [leaf.label] if leaf.group is None else list(labels.groups.get(leaf.label, {}).values())
            found[codes] = True
    return found


def report_columns(spec: Spec, found: Sequence[Member], labels: Labels, issues: Issues) -> None:
    """Report components with samples of sources that lack what the component delivers."""
    if spec.tokens is None or not any(delivering(spec.mixture.parts)):
        return
    text = text_columns(spec.tokens)
    for member in found:
        wanted = member.leaf.deliver or text
        for source, counts in zip(spec.sources, labels.counts[:, member.code].tolist(), strict=True):
            lacks = [name for name in wanted if name not in names_of(source)]
            if not counts or not lacks:
                continue
            what = "delivers" if member.leaf.deliver else "delivers tokens, whose text is"
            more = "" if member.leaf.deliver else f", or say `deliver: [{names_of(source)[0]}]`"
            issues.add(
                member.leaf.place,
                f"component {member.name!r} {what} {', '.join(wanted)}, and {counts:,} of its samples are of source "
                f"{source.name!r}, which has {', '.join(names_of(source))}: narrow its `where`{more}",
            )


def delivery_of(spec: Spec, chosen: Sequence[Member]) -> Delivery | None:
    """What the components of a plan deliver; None where all of them deliver what the plan does."""
    columns = tuple(member.leaf.deliver for member in chosen)
    return Delivery(columns, spec.group) if any(columns) else None
