"""Foreign descriptions of data and mixtures as specs: what `mixtera import` does.

Nothing of an input is run, nothing is fetched, and what a spec cannot say of it is listed, never dropped.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mixtera.errors import SpecError
from mixtera.importers.croissant import read_croissant
from mixtera.importers.energon import read_energon
from mixtera.importers.findings import Findings, refuse_secrets
from mixtera.importers.hf_card import read_hf_card
from mixtera.importers.kinds import KINDS as KINDS
from mixtera.importers.kinds import Kind, as_kind, kind_of_text
from mixtera.importers.megatron import COMMAND_LINE, read_megatron, read_words, words_of
from mixtera.importers.model import Draft, Imported, Untranslated
from mixtera.importers.olmo_core import read_olmo_core
from mixtera.importers.options import Installed, Options
from mixtera.importers.reading import header_of, is_json, nodes_of, text_of_file
from mixtera.importers.writer import spec_text
from mixtera.spec.document import Mapping, Text, describe
from mixtera.spec.issues import Issues, TooManyIssues
from mixtera.spec.model import Place
from mixtera.spec.reading import MAX_BYTES, MAX_NODES, parse_text

__all__ = ["KINDS", "Imported", "Installed", "Untranslated", "read", "read_blend"]


def read(
    path: str | os.PathLike[str],
    kind: str | None = None,
    *,
    split: str = "train",
    configs: Sequence[str] = (),
    content: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    installed: Installed | None = None,
) -> Imported:
    """Import a file of another system.

    Args:
        path: The file: an Energon metadataset, a Megatron blend, an OLMo-core source mixture, a dataset card of the
            Hugging Face Hub, or Croissant metadata.
        kind: What it is, one of `KINDS`; by default told from its content.
        split: The part to import, where the input has several.
        configs: Configurations of a dataset card to import; by default the default one, or all.
        content: The field that training reads; by default the input's own, or `text`.
        folder: The folder in which the spec will be, by default that of the input: relative paths begin there.
        installed: What can be read; by default what is installed here.

    Returns:
        The spec, and what it does not say.

    Raises:
        SpecError: The input is wrong or cannot be read; `issues` holds all of its problems.
        ValueError: There is no such kind.
    """
    file, chosen, findings = os.fspath(path), as_kind(kind), Findings()
    home = os.fspath(folder) if folder is not None else os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120
    options = Options(split, tuple(configs), content, home, installed or Installed.here())
    result = None
    with suppress(TooManyIssues):
        text = text_of_file(file, findings)
        chosen = chosen or (None if text is None else kind_of_text(text, findings))
        if text is not None and chosen is not None and _fit(text, chosen, options, findings):
            result = _written(_draft(text, chosen, options, findings), chosen, file, findings)
    return _checked(result, findings)


def read_blend(
    words: Sequence[str],
    *,
    content: str | None = None,
    folder: str | os.PathLike[str] = ".",
    installed: Installed | None = None,
) -> Imported:
    """Import the words of Megatron's `--data-path`: `weight prefix weight prefix …`.

    Args:
        words: The words; one text with spaces counts as several.
        content: The field that training reads, where it is not tokens.
        folder: The folder in which the spec will be; prefixes are relative to the current one.
        installed: What can be read; by default what is installed here.

    Raises:
        SpecError: They are no blend; `issues` holds all of its problems.
    """
    findings = Findings()
    options = Options("train", (), content, os.fspath(folder), installed or Installed.here())
    result = None
    with suppress(TooManyIssues):
        scalars = words_of(Text(COMMAND_LINE, " ".join(words)))
        for scalar in scalars:
            refuse_secrets(scalar, findings)
        draft = None if findings.issues.found else read_words(scalars, None, options, findings)
        result = _written(draft, "megatron", COMMAND_LINE, findings)
    return _checked(result, findings)


def _draft(text: Text, kind: Kind, options: Options, findings: Findings) -> Draft | None:
    if kind == "megatron" and not is_json(text):
        words = words_of(text)
        for word in words:
            refuse_secrets(word, findings)
        return None if findings.issues.found else read_words(words, Path(text.file), options, findings)
    root = nodes_of((header_of(text) or text) if kind == "hf-card" else text, findings)
    if root is None:
        return None
    if kind == "megatron":
        return read_megatron(root, text.file, options, findings)
    if not isinstance(root, Mapping):
        findings.wrong(root.place, f"expected a mapping with keys, found {describe(root)}")
        return None
    match kind:
        case "energon":
            return read_energon(root, text.file, options, findings)
        case "olmo-core":
            return read_olmo_core(root, text.file, options, findings)
        case "hf-card":
            return read_hf_card(root, text.file, options, findings)
        case "croissant":
            return read_croissant(root, text.file, options, findings)


def _fit(text: Text, kind: Kind, options: Options, findings: Findings) -> bool:
    """Whether the input has what the options ask for: splits and configurations are never ignored."""
    place = Place(text.file, 1, 1)
    if options.configs and kind != "hf-card":
        findings.wrong(place, f"configurations are those of dataset cards, and this is {kind}: leave `--config` out")
    if options.split != "train" and (kind == "olmo-core" or (kind == "megatron" and not is_json(text))):
        findings.wrong(place, f"this has no splits ({kind}): leave `--split` out")
    return not findings.issues.found


def _written(draft: Draft | None, kind: Kind, file: str, findings: Findings) -> Imported | None:
    if draft is None or findings.issues.found:
        return None
    home = os.path.dirname(file)  # noqa: PTH120
    remarks = [str(_shown(remark, home)) for remark in findings.listed]
    text = spec_text(draft, remarks)
    if len(text.encode()) > MAX_BYTES or parse_text(Text(file, text), Issues()) is None:
        limits = f"{MAX_BYTES >> 20} MiB and {MAX_NODES:,} values"
        findings.wrong(Place(file, 1, 1), f"the spec would be larger than a spec may be ({limits}): import it in parts")
        return None
    return Imported(kind, text, findings.listed)


def _shown(remark: Untranslated, home: str) -> Untranslated:
    """A remark with its file relative to the input's folder: a spec names no place of one machine."""
    if remark.file == COMMAND_LINE:
        return remark
    return Untranslated(os.path.relpath(remark.file, home or "."), remark.line, remark.message)


def _checked(result: Imported | None, findings: Findings) -> Imported:
    if result is None:
        raise SpecError(findings.issues.found)
    return result
