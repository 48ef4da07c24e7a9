"""Records that cannot be used: when there are too many, and what the error says."""

from __future__ import annotations

from collections.abc import Sequence

from mixtera.catalog.bundles import SHOWN_BAD_SAMPLES, BadRecord
from mixtera.errors import SampleError
from mixtera.spec.model import BadSamples, Source


def too_many_so_far(rule: BadSamples, bad: int) -> bool:
    """Whether it is clear before the end that there are too many."""
    return bad > 0 if rule.policy == "fail" else rule.max_count is not None and bad > rule.max_count


def check_bad(source: Source, bad: int, samples: int, first: Sequence[BadRecord], whole: bool) -> None:
    """Refuse a source that has more bad records than its spec allows.

    Args:
        source: The source.
        bad: Its bad records.
        samples: Its good records.
        first: Some of the bad ones.
        whole: Whether all files were read to the end, so that the numbers are final.

    Raises:
        SampleError: There are too many; names the first few.
    """
    rule = source.on_bad_sample
    if rule.policy == "fail" and bad:
        raise SampleError(_message(source, f"{_records(bad, whole)} cannot be used", first, _correct(source)))
    if rule.max_count is not None and bad > rule.max_count:
        what = f"{_records(bad, whole)} cannot be used, and the limit is {rule.max_count:,}"
        raise SampleError(_message(source, what, first, "correct them, or raise on_bad_sample.limit.count"))
    fraction = bad / max(bad + samples, 1)
    if rule.max_fraction is not None and fraction > rule.max_fraction:
        what = (
            f"{bad:,} of {bad + samples:,} records cannot be used, and the limit is a fraction of {rule.max_fraction:g}"
        )
        raise SampleError(_message(source, what, first, "correct them, or raise on_bad_sample.limit.fraction"))


def _records(bad: int, whole: bool) -> str:
    return f"{'' if whole else 'at least '}{bad:,} record{'s' if bad > 1 else ''}"


def _correct(source: Source) -> str:
    return f"correct them, or set on_bad_sample: skip (or quarantine) for the source {source.name!r}"


def _excerpt(record: BadRecord) -> str:
    return f": {record.sample.excerpt!r}" if record.sample.excerpt else ""


def _message(source: Source, what: str, first: Sequence[BadRecord], way_out: str) -> str:
    shown = sorted(first, key=lambda record: (record.file, record.sample.row))[:SHOWN_BAD_SAMPLES]
    lines = [f"  {record.place}: {record.sample.reason}{_excerpt(record)}" for record in shown]
    return "\n".join([f"source {source.name!r}: {what}; nothing of the source was committed", *lines, way_out])
