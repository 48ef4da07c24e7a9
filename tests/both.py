"""Texts and small images with captions, and specs and plans over both."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import mixtera
from mixtera.plan import Plan

SPEC = """
version: 1
name: both
sources:
  text: {path: "*.jsonl", content: text, properties: {language: lang}}
  pictures: {path: "*.tar", content: {image: jpg, caption: txt}}
tokens: {tokenizer: bytes, sequence_length: 32}
mixture:
  on_exhaust: redistribute
  components:
    - {name: english, where: {language: en}, weight: 50}
    - {name: german, where: {dataset: text}, weight: 20}
    - {name: pictures, where: {dataset: pictures}, weight: 30, deliver: [image, caption]}
stream: {group: 16}
order: {seed: 5, lanes: 4, chunk_size: 64, granule: 8}
"""


def write_files(root: Path) -> None:
    """Write 200 texts, and two tars of 60 images."""
    records = [{"text": f"{row} " + "word " * (row % 20), "lang": ("en", "de")[row % 2]} for row in range(200)]
    (root / "text.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for file in range(2):
        with tarfile.open(root / f"{file}.tar", "w") as tar:
            for number in range(60):
                for extension, data in {"jpg": bytes([file, number] * 9), "txt": b"a picture"}.items():
                    info = tarfile.TarInfo(f"{file}-{number:04d}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


def compiled(root: Path, text: str = SPEC) -> Plan:
    """Write the spec beside the files, index and compile it."""
    path = root / "both.yaml"
    path.write_text(text)
    spec, catalog = mixtera.load(path), mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec)
    return mixtera.compile(spec, catalog)


def saved(root: Path) -> Path:
    """The directory of the plan of all of it."""
    write_files(root)
    compiled(root).save(str(root / "plan"))
    return root / "plan"
