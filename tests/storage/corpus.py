"""The same small corpus on S3 and in a directory, and a spec of each."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tests.storage.objects import Objects

_SPEC = """version: 1
name: remote
sources:
  plain: {{path: "{root}/plain/*.jsonl", content: text, properties: {{language: meta.lang}}}}
  packed: {{path: "{root}/packed/**/*.jsonl.zst", content: text, properties: {{language: meta.lang}}}}
  code: {{path: "{root}/code/*.parquet", content: {{text: body}}, properties: {{language: lang}}}}
mixture:
  components:
    - {{name: english, where: 'dataset == "plain" and language == "en"', weight: 50}}
    - {{name: packed, where: {{dataset: packed}}, weight: 20}}
    - {{name: code, where: {{dataset: code}}, weight: 30}}
order: {{seed: 7, chunk_size: 128, lanes: 4}}
"""


def files() -> dict[str, bytes]:
    """Names and contents."""
    letters = random.Random(4)
    made = {f"plain/a{k}.jsonl": _records(letters, 700) for k in range(3)}
    made |= {f"packed/deep{k}/b.jsonl.zst": zstandard.compress(_records(letters, 400)) for k in range(2)}
    table = pa.table({"body": [f"code {i}" for i in range(900)], "lang": [("py", "c")[i % 2] for i in range(900)]})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=200)
    return made | {"code/c.parquet": sink.getvalue()}


def write_both(root: str, objects: Objects, directory: Path) -> None:
    """Write the corpus and `remote.yaml` and `local.yaml` of it."""
    for name, content in files().items():
        objects.put(f"{root}/{name}", content)
        path = directory / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (directory / "remote.yaml").write_text(_SPEC.format(root=root))
    (directory / "local.yaml").write_text(_SPEC.format(root=directory / "data"))


def _records(letters: random.Random, count: int) -> bytes:
    return b"".join(
        json.dumps(
            {
                "text": f"page {i} é " + "".join(letters.choices("abc ", k=400)),
                "meta": {"lang": "ende"[i % 2 * 2 :][:2]},
            }
        ).encode()
        + b"\n"
        for i in range(count)
    )
