"""Dataset cards of the Hugging Face Hub: the YAML header of a `README.md`.

What is read: `configs` (config_name, data_files, data_dir, default) and `dataset_info` (features). Source of the
meaning: huggingface/hub-docs, docs/hub/datasets-manual-configuration.md and datasetcard.md (Apache-2.0). A card states
no proportions, so every sample comes once; a default configuration is imported alone, as `load_dataset` loads it alone.
"""

from __future__ import annotations

import glob
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from mixtera.importers.columns import Column, choose
from mixtera.importers.findings import Findings, Keys
from mixtera.importers.hf_features import columns_of
from mixtera.importers.kinds_of_files import format_of_path
from mixtera.importers.model import Draft, DraftMixture
from mixtera.importers.naming import component_name, words_of
from mixtera.importers.options import Options
from mixtera.importers.sources import Sources
from mixtera.spec.document import Mapping, Node, Scalar, describe
from mixtera.spec.model import Place

KEYS: Final = ("configs", "dataset_info")
_DEFAULT: Final = "default"
_MOST_LISTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Config:
    name: Scalar
    files: dict[str, tuple[Scalar, ...]]
    folder: str
    is_default: bool
    place: Place


@dataclass(frozen=True, slots=True)
class _Info:
    """What `dataset_info` says of a configuration: its columns, and the number of samples of each split."""

    columns: tuple[Column, ...]
    samples: dict[str, int]


def read_hf_card(root: Mapping, file: str, options: Options, findings: Findings) -> Draft | None:
    """The draft of a dataset card; None where an issue says why there is none."""
    keys = Keys(root, "the card", findings)
    configs = [c for item in keys.items("configs") if (c := _config(item, findings)) is not None]
    infos = _infos(keys, findings)
    if not configs and not findings.issues.found:
        message = "the card has no `configs` with `data_files`, so the Hub finds the files by their names; write them"
        findings.wrong(keys.key_place("configs"), f"{message} down, or let `mixtera init` look at the files")
    title_text = keys.text("pretty_name")
    if others := keys.names_left():
        findings.untranslated(root.place, f"{words_of(others)}: they say nothing about a mixture")
    chosen = _chosen(configs, options, findings)
    sources = Sources(options, findings)
    for config in chosen:
        _add(config, _info_of(config, infos), sources, options, findings)
    if not sources.all and not findings.issues.found:
        known = dict.fromkeys(split for config in chosen for split in config.files)
        message = f"there is no split {options.split!r}; splits: {', '.join(known)}; choose with `--split`"
        findings.wrong(keys.key_place("configs"), message)
    if findings.issues.found:
        return None
    title = f"Imported by `mixtera import` from {Path(file).name}: Hugging Face dataset card"
    comment = "A card states no proportions: every sample comes once. To mix, list `components:` with weights."
    name = component_name(title_text or Path(file).absolute().parent.name or "card")
    return Draft(name, f"{title}, split {options.split}.", sources.finished(), DraftMixture((), "stop", (comment,)))


def _config(node: Node, findings: Findings) -> _Config | None:
    if not isinstance(node, Mapping):
        message = f"expected a configuration with config_name and data_files, found {describe(node)}"
        findings.wrong(node.place, message)
        return None
    keys = Keys(node, "a configuration", findings)
    keys.needs_values("config_name")
    name, folder = keys.scalar("config_name"), keys.text("data_dir") or ""
    files = _files(keys, findings)
    default = keys.node("default")
    if "config_name" not in keys:
        findings.wrong(node.place, "a configuration needs the key 'config_name'")
    elif not files and not findings.issues.found:
        message = (
            f"the configuration {name.text if name else ''!r} has no `data_files`: the Hub finds its files by name"
        )
        findings.untranslated(node.place, message)
    keys.rest("it is for the loader of the Hub")
    if name is None or not files:
        return None
    is_default = isinstance(default, Scalar) and default.value is True
    return _Config(name, files, folder, is_default, node.place)


def _files(keys: Keys, findings: Findings) -> dict[str, tuple[Scalar, ...]]:
    """Split → patterns. Without splits, all files are `train`."""
    node = keys.node("data_files")
    if isinstance(node, Mapping):
        inner = Keys(node, "data_files", findings)
        return {entry.key.text: inner.texts(entry.key.text) for entry in node.entries}
    items = keys.items("data_files")
    if not any(isinstance(item, Mapping) for item in items):
        found = keys.texts("data_files")
        return {"train": found} if found else {}
    files: dict[str, tuple[Scalar, ...]] = {}
    for item in items:
        if not isinstance(item, Mapping):
            findings.wrong(item.place, f"data_files: expected {{split: …, path: …}}, found {describe(item)}")
            continue
        part = Keys(item, "data_files", findings)
        split, paths = part.text("split"), part.texts("path")
        part.rest()
        if split is None or not paths:
            findings.wrong(item.place, "data_files: an entry needs the keys 'split' and 'path'")
        else:
            files[split] = (*files.get(split, ()), *paths)
    return files


def _infos(keys: Keys, findings: Findings) -> dict[str | None, _Info]:
    """What is said by configuration; None is for all of which nothing is said of their own."""
    found: dict[str | None, _Info] = {}
    for item in keys.items("dataset_info"):
        if not isinstance(item, Mapping):
            findings.wrong(item.place, f"dataset_info: expected a mapping, found {describe(item)}")
            continue
        info = Keys(item, "dataset_info", findings)
        columns = [c for feature in info.items("features") for c in columns_of(feature, "", findings)]
        found[info.text("config_name")] = _Info(tuple(columns), _samples(info.items("splits")))
        for name in ("download_size", "dataset_size"):
            info.entry(name)  # bytes, which indexing counts
        info.rest()
    return found


def _samples(splits: Iterable[Node]) -> dict[str, int]:
    """The number of samples of each split that has one."""
    entries = [{e.key.text: e.value for e in split.entries} for split in splits if isinstance(split, Mapping)]
    named = [(entry.get("name"), entry.get("num_examples")) for entry in entries]
    return {
        name.text: count.value
        for name, count in named
        if isinstance(name, Scalar) and isinstance(count, Scalar) and type(count.value) is int
    }


def _chosen(configs: list[_Config], options: Options, findings: Findings) -> list[_Config]:
    """The configurations to import: the asked ones, else the default one, else all."""
    named = {config.name.text: config for config in configs}
    for name in options.configs:
        if name not in named:
            place = configs[0].place if configs else Place("", 1, 1)
            findings.wrong(place, f"there is no configuration {name!r}; configurations: {words_of(tuple(named))}")
    if len(named) < len(configs):
        seen: set[str] = set()
        for config in configs:
            if config.name.text in seen:
                findings.wrong(config.name.place, f"two configurations are named {config.name.text!r}")
            seen.add(config.name.text)
    if options.configs:
        return [named[name] for name in options.configs if name in named]
    default = [c for c in configs if c.is_default] or [c for c in configs if c.name.text == _DEFAULT]
    if not default:
        return configs
    for config in configs:
        if config is not default[0]:
            name = config.name.text
            message = f"the configuration {name!r} is not the default one: `--config {name}` imports it"
            findings.untranslated(config.place, message)
    return default[:1]


def _add(
    config: _Config,
    info: _Info,
    sources: Sources,
    options: Options,
    findings: Findings,
) -> None:
    name = config.name.text
    for split in config.files:
        if split != options.split:
            message = f"{name}: the split {split!r} is not imported: `mixtera import --split {split}` writes it"
            findings.untranslated(config.place, message)
    patterns = config.files.get(options.split, ())
    placed = [path for p in patterns if (path := sources.placed(p, posixpath.join(config.folder, p.text))) is not None]
    if not placed or len(placed) < len(patterns):
        return
    formats = list(dict.fromkeys(_format(p, config.folder, findings) for p in patterns))
    if len(formats) > 1:
        findings.wrong(config.place, f"{name}: the files have several formats ({', '.join(formats)})")
        return
    chosen = choose(info.columns, options.content)
    if chosen is not None and not chosen.certain:
        others = ", ".join(path for path in chosen.texts if path != chosen.content)
        message = f"{name}: training may read {others} instead of {chosen.content}, which `content:` is a guess of"
        findings.untranslated(config.place, message)
    sources.add(
        name if name != _DEFAULT else Path(config.name.source.file).absolute().parent.name,
        placed,
        formats[0],
        config.place,
        content=[("text", chosen.content)] if chosen is not None else (),
        properties=chosen.properties if chosen is not None else (),
        comments=[f"{info.samples[options.split]:,} samples, says the card."] if options.split in info.samples else (),
    )


def _info_of(config: _Config, infos: dict[str | None, _Info]) -> _Info:
    only = next(iter(infos.values())) if len(infos) == 1 else _Info((), {})
    return infos.get(config.name.text) or infos.get(None) or only


def _format(pattern: Scalar, folder: str, findings: Findings) -> str:
    """From the suffix, else from the files that are here, else Parquet, which the Hub's own uploads are."""
    path = posixpath.join(folder, pattern.text)
    known = format_of_path(path)
    if known is not None:
        return known
    found = dict.fromkeys(kind for name in _matching(pattern, path) if (kind := format_of_path(name)) is not None)
    if len(found) == 1:
        return next(iter(found))
    message = f"{pattern.text}: no suffix tells the format: Parquet is assumed, which uploads to the Hub have"
    findings.untranslated(pattern.place, message)
    return "parquet"


def _matching(pattern: Scalar, path: str) -> list[str]:
    """Some of the files of this machine that a pattern matches."""
    if "://" in path:
        return []
    found = glob.iglob(str(Path(pattern.source.file).parent / path), recursive=True)  # noqa: PTH207 - absolute ones too
    return list(islice(found, _MOST_LISTED))
