"""Mixtures that follow the training cannot be planned ahead."""

from __future__ import annotations

from dataclasses import replace

from mixtera.errors import Issue, SpecError
from mixtera.spec.model import Spec


def refuse_dynamic(spec: Spec) -> None:
    """Refuse a spec with `dynamic`.

    Raises:
        SpecError: It has one.
    """
    dynamic = spec.mixture.dynamic
    if dynamic is not None:
        place = dynamic.place
        message = (
            "`dynamic` needs a job, which reports the losses of the training, and this version has none; "
            "`mixtera simulate` shows what the algorithm would do; without `dynamic`, the weights written here hold"
        )
        raise SpecError([Issue(place.file, place.line, place.column, message)])


def without_dynamic(spec: Spec) -> Spec:
    """The spec as it begins: the weights that are written hold."""
    return replace(spec, mixture=replace(spec.mixture, dynamic=None))
