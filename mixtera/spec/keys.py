"""Every key of a spec: one description that the parser, the JSON Schema and the reference page agree on."""

from __future__ import annotations

from typing import Final

from mixtera.contracts.properties import PROPERTY_TYPES
from mixtera.spec.delivery_keys import DELIVER as DELIVER
from mixtera.spec.delivery_keys import STREAM as STREAM
from mixtera.spec.derived_keys import COMPUTED as COMPUTED
from mixtera.spec.derived_keys import FUNCTION as FUNCTION
from mixtera.spec.derived_keys import PROPERTY_NAME as PROPERTY_NAME
from mixtera.spec.derived_keys import SIDECAR as SIDECAR
from mixtera.spec.derived_keys import SIDECAR_PROPERTY as SIDECAR_PROPERTY
from mixtera.spec.dynamic_keys import DYNAMIC as DYNAMIC
from mixtera.spec.section import TEXT, TEXTS, Key, reference
from mixtera.spec.section import JsonSchema as JsonSchema
from mixtera.spec.section import Section as Section
from mixtera.spec.table_keys import TABLE as TABLE
from mixtera.spec.table_keys import TABLE_KEYS as TABLE_KEYS
from mixtera.spec.token_keys import ENCODERS as ENCODERS
from mixtera.spec.token_keys import PACKINGS as PACKINGS
from mixtera.spec.token_keys import TOKENS as TOKENS

ON_EXHAUST: Final = ("stop", "redistribute", "repeat", "error")
BAD_SAMPLE_POLICIES: Final = ("fail", "skip", "quarantine")
SHUFFLES: Final = ("global", "none")
HOLDOUT_PARTS: Final = ("train", "holdout")
UNITS: Final = ("samples", "tokens")
WEIGHTINGS: Final = ("natural", "uniform")
RAMPS: Final = ("linear", "cosine")
LARGEST: Final = 2**31 - 1
LARGEST_SEED: Final = 2**63 - 1
LARGEST_POSITION: Final = 2**53
NAME: Final = r"^[^/\s](?:[^/\n]*[^/\s])?$"
SOURCE_NAME: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"
PERCENT: Final = r"^(100(\.0*)?|[0-9]{1,2}(\.[0-9]+)?) ?%$"

FORMAT: Final[JsonSchema] = {
    "anyOf": [
        TEXT,
        {
            "type": "object",
            "required": ["name"],
            "properties": {"name": TEXT},
            "additionalProperties": {"type": ["string", "integer"]},
        },
    ]
}
WEIGHT: Final[JsonSchema] = {"type": "number", "minimum": 0}
SHARE: Final[JsonSchema] = {"type": "number", "minimum": 0, "maximum": 1}
FRACTION: Final[JsonSchema] = {"anyOf": [SHARE, {"type": "string", "pattern": PERCENT}]}
COUNT: Final[JsonSchema] = {"type": "integer", "minimum": 1, "maximum": LARGEST}
STEP: Final[JsonSchema] = {"type": "integer", "minimum": 0, "maximum": LARGEST_POSITION}
POSITION: Final[JsonSchema] = {"anyOf": [STEP, {"type": "string", "pattern": PERCENT}]}

_PARTS: Final = (
    Key(
        "components",
        {"type": "array", "minItems": 1, "items": reference("component")},
        "The parts, each with a predicate and a weight; the first whose predicate holds takes the sample.",
    ),
    Key("by", TEXTS, "A property, or a list of them: one component per value. Instead of `components`."),
    Key(
        "weights",
        reference("weights"),
        "With `by`: natural, uniform, or a mapping with `values`, `temperature` or `unimax`, and bounds. "
        "Default: natural.",
    ),
    Key(
        "schedule",
        {"type": "array", "minItems": 1, "items": reference("change")},
        "With `components`: their weights over time, ascending; `weight` holds before the first entry.",
    ),
)
_SORTED_BY: Final[JsonSchema] = {
    "anyOf": [
        TEXT,
        reference("sort_key"),
        {"type": "array", "minItems": 1, "items": {"anyOf": [TEXT, reference("sort_key")]}},
    ]
}
_LIMITS: Final = (
    Key("on_exhaust", {"enum": list(ON_EXHAUST)}, "What happens when a component runs out."),
    Key(
        "max_epochs",
        {"type": "number", "exclusiveMinimum": 0},
        "How often the samples of a component may be delivered at most; fractions are allowed.",
    ),
)

SPEC: Final = Section(
    "the spec",
    (
        Key("version", {"const": 1}, "Version of the spec language: 1.", required=True),
        Key("name", {"type": "string", "pattern": NAME}, "Name of the spec. Default: the file's name without suffix."),
        Key("include", TEXTS, "Files whose sections are merged first; relative to this file."),
        Key(
            "sources",
            {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": SOURCE_NAME},
                "additionalProperties": reference("source"),
            },
            "Named sets of files.",
        ),
        Key(
            "filter", reference("predicate"), "A predicate: samples for which it is not true are dropped before mixing."
        ),
        Key("mixture", reference("mixture"), "What is mixed, in which proportion."),
        Key("order", reference("order"), "In which order."),
        Key("holdout", reference("holdout"), "Keeps a part of the samples apart by a hash: a split that never leaks."),
        Key(
            "exclude",
            {
                "anyOf": [
                    TEXT,
                    reference("exclusion"),
                    {"type": "array", "minItems": 1, "items": {"anyOf": [TEXT, reference("exclusion")]}},
                ]
            },
            "Tables (.parquet, .csv, .jsonl, .arrow) of samples that are not delivered: ids, or values of properties.",
        ),
        Key(
            "storage",
            {"type": "object", "minProperties": 1, "additionalProperties": reference("storage_options")},
            "Options of storages, by name (s3, lustre), scheme or URL prefix; see the page of storages. No secrets.",
        ),
        Key("tokens", reference("tokens"), "Turns samples into sequences of tokens."),
        Key("stream", reference("stream"), "How positions that deliver different things follow each other."),
    ),
)
SOURCE: Final = Section(
    "a source",
    (
        Key(
            "path",
            TEXTS,
            "A file, a glob or a URL, or a list of them; relative to the file it is written in. A name in braces, "
            "such as {year}, makes a property of what stands there. With `table`: the folder that its file names are "
            "relative to.",
        ),
        Key(
            "table",
            reference("table"),
            "A table that has the properties of the samples already; nothing is read from the records. With `keys`.",
        ),
        Key("keys", reference("table_keys"), "Columns of the `table` that say where each sample lies."),
        Key(
            "format",
            FORMAT,
            "Name of the format, or {name: NAME, OPTION: VALUE, …}. Default: from the suffix of the path.",
        ),
        Key(
            "content",
            {"anyOf": [TEXT, {"type": "object", "minProperties": 1, "additionalProperties": TEXT}]},
            "The field that training reads, delivered as `text`; or a mapping {column: field}.",
            required=True,
        ),
        Key(
            "properties",
            {
                "type": "object",
                "propertyNames": {"pattern": PROPERTY_NAME},
                "additionalProperties": {"anyOf": [TEXT, reference("property"), reference("computed")]},
            },
            "Facts of a sample that predicates use: {name: dotted path}, {name: {path, type}}, from the path of the "
            "file {name: {capture, type}}, or computed ones.",
        ),
        Key(
            "sidecars",
            {"type": "array", "minItems": 1, "items": reference("sidecar")},
            "Tables that bring properties of samples, such as scores; the files stay as they are.",
        ),
        Key(
            "on_bad_sample",
            {"anyOf": [{"enum": list(BAD_SAMPLE_POLICIES)}, reference("bad_samples")]},
            "What to do with records that cannot be read. Default: fail.",
        ),
    ),
)
PROPERTY: Final = Section(
    "a property",
    (
        Key("path", TEXT, "Dotted path into the record; `list[*].key` takes a value of each element of a list."),
        Key("capture", TEXT, "Name in braces in the paths of the source; instead of `path`. Default type: string."),
        Key("type", {"enum": list(PROPERTY_TYPES)}, "Type of the property. Default: inferred from the data."),
    ),
)
BAD_SAMPLES: Final = Section(
    "on_bad_sample",
    (
        Key("policy", {"enum": list(BAD_SAMPLE_POLICIES)}, "fail, skip or quarantine.", required=True),
        Key(
            "limit",
            {"anyOf": [{"type": "integer", "minimum": 0, "maximum": LARGEST}, FRACTION, reference("limit")]},
            "Bad samples of a source at most: a number such as 100, or a share such as 1% or 0.01. Default: no limit.",
        ),
    ),
)
LIMIT: Final = Section(
    "limit",
    (
        Key("count", {"type": "integer", "minimum": 0, "maximum": LARGEST}, "Bad samples of a source at most."),
        Key("fraction", FRACTION, "Share of bad samples of a source at most, such as 1% or 0.01."),
    ),
)
MIXTURE: Final = Section(
    "mixture",
    (
        Key(
            "unit",
            {"enum": list(UNITS)},
            "What weights and positions count: samples or tokens. Default: tokens where `tokens:` packs, else samples.",
        ),
        *_PARTS,
        *_LIMITS,
        Key("budget", reference("budget"), "How much the training will see: the plan ends there."),
        Key("dynamic", reference("dynamic"), "Weights that follow the training, by an algorithm. Not with `schedule`."),
    ),
    elsewhere=dict.fromkeys(
        ("floor", "ceiling"),
        "it goes to a component, or for every group of `by` into `weights: {floor: …, ceiling: …}`",
    ),
)
COMPONENT: Final = Section(
    "a component",
    (
        Key("name", {"type": "string", "pattern": NAME}, "Name among its siblings.", required=True),
        Key("where", reference("predicate"), "Which samples; left out: what the siblings before left over."),
        Key("weight", WEIGHT, "Weight among its siblings, on any scale. Required without a schedule."),
        Key("floor", SHARE, "The least share among its siblings, from 0 to 1, whatever the weights."),
        Key("ceiling", SHARE, "The largest share among its siblings, from 0 to 1."),
        DELIVER,
        *_LIMITS,
        *_PARTS,
        Key("order", reference("own_order"), "The order inside the component. Default: that around it."),
    ),
)
WEIGHTS: Final = Section(
    "weights",
    (
        Key(
            "values",
            {"type": "object", "minProperties": 1, "additionalProperties": WEIGHT},
            "A weight per value; `rest` is shared by all other values, by their sizes.",
        ),
        Key(
            "temperature",
            {"type": "number", "exclusiveMinimum": 0},
            "Sizes raised to 1/temperature: 1 is natural, large numbers come near to uniform.",
        ),
        Key("unimax", reference("unimax"), "As even as a number of epochs of the budget allows."),
        Key("floor", SHARE, "The least share of every group among the groups, from 0 to 1."),
        Key("ceiling", SHARE, "The largest share of every group among the groups, from 0 to 1."),
    ),
)
UNIMAX: Final = Section(
    "unimax",
    (
        Key(
            "max_epochs",
            {"type": "number", "exclusiveMinimum": 0},
            "How often the samples of a group may be delivered over the budget.",
            required=True,
        ),
    ),
)
BUDGET: Final = Section(
    "budget",
    (
        Key(
            "samples",
            {"type": "integer", "minimum": 1, "maximum": LARGEST_POSITION},
            "Samples over all ranks; sequences, where `tokens:` packs them.",
        ),
        Key("steps", COUNT, "Steps of the training; with `batch`."),
        Key("batch", COUNT, "Samples (sequences) of a step over all ranks."),
        Key(
            "tokens",
            {"type": "integer", "minimum": 1, "maximum": LARGEST_POSITION},
            "Tokens over all ranks, sequence_length to a sequence; where `tokens:` packs.",
        ),
    ),
)
CHANGE: Final = Section(
    "an entry of schedule",
    (
        Key("at", POSITION, "First position, in the mixture's unit or as a part of the budget such as 25%."),
        Key("step", STEP, "First step, instead of `at`."),
        Key("batch", COUNT, "Samples (sequences) of a step over all ranks. Default: that of the budget."),
        Key(
            "weights",
            {"type": "object", "minProperties": 1, "additionalProperties": WEIGHT},
            "The weight of each component.",
            required=True,
        ),
        Key("ramp", {"enum": list(RAMPS)}, "How the shares get there: linear or cosine. Default: at once."),
        Key("until", POSITION, "With `ramp` and `at`: the position from which the weights hold."),
        Key("until_step", STEP, "With `ramp` and `step`: the step from which the weights hold."),
    ),
)
ORDER: Final = Section(
    "order",
    (
        Key("seed", {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED}, "Seed of the shuffle. Default: 0."),
        Key("shuffle", {"enum": list(SHUFFLES)}, "global or none. Default: global."),
        Key("chunk_size", COUNT, "Samples (sequences) fetched in one go. Default: 16384; with `dynamic`: 1024."),
        Key(
            "lanes",
            COUNT,
            "Chunks that are open at a time over the whole job. Default: 16; 1 without shuffle or with `by`.",
        ),
        Key(
            "granule",
            COUNT,
            "Samples taken from a lane before the next; divides chunk_size. Default: the greatest common divisor of "
            "32 and chunk_size.",
        ),
        Key(
            "by",
            _SORTED_BY,
            "A curriculum: a property or an expression to sort by, ascending, or a list of them. Samples that are "
            "equal stand in shuffled order, or in file order without shuffle; each epoch is the same.",
        ),
    ),
)
OWN_ORDER: Final = Section(
    "the order of a component",
    (
        Key("shuffle", {"enum": list(SHUFFLES)}, "global or none. Default: that around it."),
        Key(
            "by",
            {"anyOf": [_SORTED_BY, {"type": "array", "maxItems": 0}]},
            "A curriculum inside the component, as in `order`; an empty list is none. Default: that around it.",
        ),
    ),
)
SORT_KEY: Final = Section(
    "a key of `by`",
    (
        Key("value", TEXT, "A property (number, date, timestamp or bool), or a predicate: false before true.", True),
        Key("descending", {"type": "boolean"}, "Large before small. Default: false."),
    ),
)
HOLDOUT: Final = Section(
    "holdout",
    (
        Key(
            "fraction",
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "How much is held out, such as 0.01.",
            required=True,
        ),
        Key("salt", TEXT, "Any text; another one holds out other samples. Default: mixtera."),
        Key("by", TEXT, "A property whose values are held out whole, such as a document's id or an author."),
        Key("part", {"enum": list(HOLDOUT_PARTS)}, "Which side is meant: train or holdout. Default: train."),
    ),
)
EXCLUSION: Final = Section(
    "an exclusion",
    (
        Key("path", TEXT, "The table: a path or a URL.", required=True),
        Key(
            "columns",
            {"type": "object", "minProperties": 1, "additionalProperties": TEXT},
            "Property → column of the table. Default: the columns are named as the properties.",
        ),
    ),
)
