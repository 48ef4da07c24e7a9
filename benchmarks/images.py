"""Seeded tars of images with captions (WebDataset): what a sample holds is random, as compressed pixels are."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np

from benchmarks.corpus import DOMAINS, domain_shares

VERSION = 1
SAMPLES = 8_000
TARS = 8
IMAGE_BYTES = (30_000, 100_000)  # smallest, largest
CAPTION = "a picture of something that one can describe in a dozen words or so"


def generate_images(directory: Path, seed: int = 7) -> list[Path]:
    """Write the tars, unless they are there already; `.jpg`, `.txt` and `.json` of each sample, of all domains."""
    folder = directory / f"images-{SAMPLES}-{VERSION}-{seed}"
    paths = [folder / f"{number:03d}.tar" for number in range(TARS)]
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.Generator(np.random.PCG64(seed))
        for path in paths:
            _write(path, random)
        (folder / "done").touch()
    return paths


def _write(path: Path, random: np.random.Generator) -> None:
    count = SAMPLES // TARS
    domains = random.choice(len(DOMAINS), count, p=domain_shares())
    sizes = random.integers(*IMAGE_BYTES, count)
    with tarfile.open(path, "w") as tar:
        for number, (domain, size) in enumerate(zip(domains.tolist(), sizes.tolist(), strict=True)):
            about = {"domain": DOMAINS[domain], "width": size % 900, "height": size % 700}
            members = {"jpg": random.bytes(size), "json": json.dumps(about).encode(), "txt": CAPTION.encode()}
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{path.stem}/{number:06d}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
