"""What `benchmarks.training` trains on: the corpus as text and as token files, on disk and on S3, and their plans."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import numpy as np
import orjson
from tokenizers import Tokenizer

import mixtera
from benchmarks.corpus import DOMAINS, generate
from benchmarks.gpt import Shape
from benchmarks.specs import GROUPS, WEIGHTS
from benchmarks.tokens import ENCODED_TEXTS, SEPARATOR, train_tokenizer
from tests.storage.weed import BUCKET

SOURCES = ("text", "tokens", "s3-text", "s3-tokens")
FILES = 4
"""Of the eight files of the corpus, so many are trained on."""
LANES = 8
INDEX_PROCESSES = 8
FOLLOWS = {"algorithm": "loss_average", "floor": 0.02, "every": 10}
"""It moves from the first reports on: a run of a hundred steps shall see weights that change."""


def name_of(part: int) -> str:
    """The name of a component."""
    return f"part-{part}"


def write_corpus(work: Path, data: Path, rows: int) -> None:
    """`work/text/*.jsonl`, `work/tokenizer.json`, and the same documents as `work/tokens/part-N.u16`."""
    (work / "text").mkdir()
    (work / "tokens").mkdir()
    for file in generate(data, rows).interleaved[:FILES]:
        (work / "text" / file.name).symlink_to(file.resolve())
    files = sorted((work / "text").iterdir())
    train_tokenizer([str(file) for file in files[:1]], str(work / "tokenizer.json"))
    part_of = {DOMAINS[number]: part for part, (first, last) in enumerate(GROUPS) for number in range(first, last)}
    texts: list[list[str]] = [[] for _ in GROUPS]
    for file in files:
        for line in file.read_bytes().splitlines():
            record = orjson.loads(line)
            texts[part_of[record["meta"]["domain"]]].append(record["text"])
    encoder = Tokenizer.from_file(str(work / "tokenizer.json"))
    for part, found in enumerate(texts):
        with (work / "tokens" / f"{name_of(part)}.u16").open("wb") as out:
            for first in range(0, len(found), ENCODED_TEXTS):
                encoded = encoder.encode_batch_fast(found[first : first + ENCODED_TEXTS], add_special_tokens=False)
                out.write(np.concatenate([[*one.ids, SEPARATOR] for one in encoded]).astype(np.uint16).tobytes())


def upload(work: Path, kind: str) -> str:
    """Write the objects of `text` or `tokens` to the server; where they are."""
    import obstore
    from obstore.store import S3Store

    plain = {"endpoint": os.environ["AWS_ENDPOINT_URL"], "client_options": {"allow_http": True}}
    store = S3Store(BUCKET, virtual_hosted_style_request=False, **plain)
    for file in sorted((work / kind).iterdir()):  # bytes of no known type: the server compresses what it takes for text
        attributes = {"Content-Type": "binary/octet-stream"}
        obstore.put(store, f"{kind}/{file.name}", file.read_bytes(), attributes=attributes, use_multipart=False)
    return f"s3://{BUCKET}/{kind}"


def make_plan(work: Path, source: str, shape: Shape, *, follows: bool = False) -> str:
    """Index and compile; where the plan lies. What `follows` has weights that follow the losses."""
    kind = source.removeprefix("s3-")
    base = upload(work, kind) if source.startswith("s3-") else str(work / kind)
    parts = range(len(GROUPS))
    if kind == "text":
        properties = {"domain": "meta.domain"}
        sources: dict[str, object] = {"text": {"path": f"{base}/*.jsonl", "content": "text", "properties": properties}}
        where: list[dict[str, object]] = [{"domain": list(DOMAINS[first:last])} for first, last in GROUPS]
        tokenizer = str(work / "tokenizer.json")
    else:
        ready = {"format": {"name": "tokens", "separator": SEPARATOR}, "content": "tokens"}
        sources = {name_of(part): {"path": f"{base}/{name_of(part)}.u16", **ready} for part in parts}
        where = [{"dataset": name_of(part)} for part in parts]
        tokenizer = "bytes"  # nothing is left to encode
    components = [{"name": name_of(part), "where": where[part], "weight": WEIGHTS[part]} for part in parts]
    order: dict[str, object] = {"seed": 7, "lanes": LANES, "granule": shape.batch}
    name = f"{source}-follows" if follows else source
    spec = {
        "version": 1,
        "name": name,
        "sources": sources,
        "tokens": {"tokenizer": tokenizer, "sequence_length": shape.context},
        "mixture": {"unit": "tokens", "components": components, "on_exhaust": "repeat"}
        | ({"dynamic": FOLLOWS} if follows else {}),
        "order": order | ({"chunk_size": 2 * shape.batch} if follows else {}),  # a round of 16 steps
    }
    path, plan = work / f"{name}.yaml", work / "plans" / name
    path.write_text(json.dumps(spec))
    with closing(mixtera.Catalog.open(str(work / f"catalog-{source}"))) as catalog:
        loaded = mixtera.load(str(path))
        catalog.index(loaded, workers=min(INDEX_PROCESSES, os.cpu_count() or 1))
        mixtera.compile(loaded, catalog).save(str(plan))
    return str(plan)
