"""OLMo-core source mixtures: the YAML of `SourceMixtureList` and of `SourceMixtureDatasetConfig`.

Source of the meaning: allenai/OLMo-core, src/olmo_core/data/source_mixture.py (Apache-2.0). A source gives
`target_ratio` of the tokens, and at most `max_source_fraction` × `max_repetition_ratio` of its own; where that is not
enough, OLMo-core stops with an error, which is `on_exhaust: error`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mixtera.importers.findings import Findings, Keys
from mixtera.importers.kinds_of_files import format_of_path
from mixtera.importers.model import Draft, DraftComponent, DraftMixture
from mixtera.importers.naming import Names, component_name
from mixtera.importers.options import Options
from mixtera.importers.sources import Sources
from mixtera.registry import joined_format
from mixtera.spec.document import Mapping, Node, Scalar, describe
from mixtera.spec.keys import LARGEST_SEED
from mixtera.spec.model import Place

LISTS: Final = ("sources", "source_configs")
OUTER: Final = ("source_list", "source_mixture_config", "dataset", "train_source_mixture")
_RAW: Final = "tokens"
_TYPES: Final = ("uint8", "uint16", "uint32", "uint64")
_OF_THE_RUN: Final = {
    "requested_tokens": "a budget in tokens is not in the language yet: `budget: {samples: …}` is one in samples",
    "max_tokens": "a budget in tokens is not in the language yet: `budget: {samples: …}` is one in samples",
    "global_batch_size": "it counts tokens, and belongs to the training",
    "sequence_length": "samples are not packed into sequences",
    "processes": "it is how OLMo-core counts tokens",
    "render_tables": "it is how OLMo-core counts tokens",
    "quiet": "it is how OLMo-core counts tokens",
    "_CLASS_": "it names OLMo-core's own class",
}


def read_olmo_core(root: Mapping, file: str, options: Options, findings: Findings) -> Draft | None:
    """The draft of a source mixture; None where an issue says why there is none."""
    seed, dtype, items, place = _opened(root, findings)
    if items is None:
        message = "an OLMo-core mixture has `sources: [{source_name, target_ratio, paths}, …]`"
        findings.wrong(root.place, message)
        return None
    sources, names = Sources(options, findings), Names()
    components = tuple(c for item in items if (c := _component(item, dtype, sources, names, findings)) is not None)
    if not items:
        findings.wrong(place, "the list of sources is empty")
    if findings.issues.found:
        return None
    total = sum(component.weight for component in components)
    if total == 0:
        findings.wrong(place, "the target ratios sum to zero")
        return None
    if abs(total - 1) > 1e-5:
        findings.untranslated(place, f"the target ratios sum to {total:g}: OLMo-core wants 1; here they are relative")
    findings.untranslated(place, _TOKENS)
    if dtype is None and any(source.format == _tokens(None) for source in sources.all):
        findings.untranslated(place, "the type of the tokens is not said: add `dtype:` to each `format:`, as uint32")
    comments = (
        "The weights are OLMo-core's target ratios, which are shares of tokens; here they are shares of samples.",
        "OLMo-core refuses a mixture that a source cannot fill: with a `budget:`, so does `on_exhaust: error`.",
    )
    title = f"Imported by `mixtera import` from {Path(file).name}: OLMo-core source mixture."
    mixture = DraftMixture(components, "error", comments)
    return Draft(component_name(Path(file).stem), title, sources.finished(), mixture, seed)


_TOKENS: Final = (
    "target_ratio is a share of tokens, and is written as a share of samples: where the documents of the sources "
    "differ in length, divide each weight by the mean length"
)


def _tokens(dtype: str | None) -> str:
    """The format of OLMo's files of tokens: raw, with a table of documents beside each."""
    return joined_format(_RAW, ({} if dtype is None else {"dtype": dtype}) | {"boundaries": "csv"})


def _opened(root: Mapping, findings: Findings) -> tuple[int | None, str | None, tuple[Node, ...] | None, Place]:
    """The seed, the type of tokens, and the list of sources, wherever OLMo-core's classes nest it."""
    node, seed, dtype = root, None, None
    for _ in range(len(OUTER) + 1):
        keys = Keys(node, "the mixture", findings)
        for name, reason in _OF_THE_RUN.items():
            keys.refuse(name, reason)
        seed = _seed(keys) if "seed" in keys else seed
        dtype = _dtype(keys) if "dtype" in keys else dtype
        listing = next((name for name in LISTS if name in keys), None)
        if listing is not None:
            items = keys.items(listing)
            keys.rest()
            return seed, dtype, items, keys.key_place(listing)
        inner = next((found for name in OUTER if isinstance(found := keys.node(name), Mapping)), None)
        keys.rest("it is not of the mixture")
        if inner is None:
            break
        node = inner
    return seed, dtype, None, root.place


def _seed(keys: Keys) -> int | None:
    node = keys.node("seed")
    value = node.value if isinstance(node, Scalar) else None
    if type(value) is int and 0 <= value <= LARGEST_SEED:
        return value
    keys.refuse("seed", "it is no seed of ours")
    return None


def _dtype(keys: Keys) -> str | None:
    value = keys.text("dtype")
    if value in _TYPES:
        return value
    keys.refuse("dtype", "it is no type of tokens")
    return None


def _component(
    node: Node, dtype: str | None, sources: Sources, names: Names, findings: Findings
) -> DraftComponent | None:
    if not isinstance(node, Mapping):
        findings.wrong(node.place, f"expected a source with source_name and paths, found {describe(node)}")
        return None
    keys = Keys(node, "a source", findings)
    keys.needs_values("source_name", "target_ratio", "paths")
    name, ratio, paths = keys.scalar("source_name"), keys.number("target_ratio"), keys.texts("paths")
    for key in ("source_name", "target_ratio", "paths"):
        if key not in keys:
            findings.wrong(keys.place, f"a source needs the key {key!r}")
    if not paths and keys.node("paths") is not None:
        findings.wrong(keys.key_place("paths"), "paths: the list is empty")
    max_epochs = _max_epochs(keys, findings)
    keys.rest()
    placed = [path for scalar in paths if (path := sources.placed(scalar)) is not None]
    if name is None or ratio is None or not placed or len(placed) < len(paths):
        return None
    taken = names.new(component_name(name.text))
    if taken != component_name(name.text):
        findings.wrong(name.place, f"two sources are named {name.text!r}")
        return None
    kinds = list(dict.fromkeys(format_of_path(path) or _RAW for path in placed))
    if len(kinds) > 1:
        findings.wrong(
            keys.key_place("paths"), f"the paths have several formats ({', '.join(kinds)}): split the source"
        )
        return None
    content = [("tokens", "tokens")] if kinds[0] == _RAW else []
    format_name = _tokens(dtype) if kinds[0] == _RAW else kinds[0]
    source = sources.add(name.text, placed, format_name, name.place, content=content)
    return DraftComponent(taken, (source,), ratio, max_epochs)


def _max_epochs(keys: Keys, findings: Findings) -> float | None:
    """max_source_fraction × max_repetition_ratio: how much of a source may come at most."""
    name = "max_repetitions" if "max_repetitions" in keys else "max_repetition_ratio"
    repetitions, fraction = keys.number(name, zero=False), keys.number("max_source_fraction", zero=False)
    if repetitions is not None and repetitions < 1:
        findings.wrong(keys.key_place(name), f"{name}: expected 1 or more, found {repetitions:g}")
    if fraction is not None and fraction > 1:
        findings.wrong(keys.key_place("max_source_fraction"), f"expected a share up to 1, found {fraction:g}")
    if repetitions is None and fraction is None:
        return None
    if fraction is not None and fraction < 1 and (repetitions or 1) > 1:
        message = (
            f"OLMo-core repeats the same {fraction:g} of the source; here as many samples come, of all of the source"
        )
        findings.untranslated(keys.key_place("max_source_fraction"), message)
    return (fraction or 1.0) * (repetitions or 1.0)
