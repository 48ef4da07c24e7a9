"""A corpus of four components of which it is known what a model can learn: made in a second, the same everywhere.

::

    python examples/ado_corpus.py ado-corpus

- `counting`: numbers in order. Nothing of it is left to chance, once a model has found out.
- `phrases`: sentences out of a small grammar. Learned soon, down to what is left to chance.
- `recall`: pairs of a key and a value, each asked for once more. Takes a model long to find out.
- `noise`: letters by chance. Nothing to learn but which letters there are.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

DOCUMENTS, CHARACTERS = 400, 2000  # per component; per document
SUBJECTS = ("the cat", "a sailor", "my neighbour", "the old clock", "every student", "the river")
VERBS = ("watches", "remembers", "follows", "forgets", "paints", "carries")
OBJECTS = ("the moon", "a letter", "two apples", "the last train", "some music", "an open door")
PLACES = ("in the garden", "by the sea", "at night", "before breakfast", "without a word", "for a year")


def counting(chance: random.Random) -> str:
    """Numbers from some number on."""
    first = chance.randrange(10, 90)
    return " ".join(str(first + number % 10) for number in range(CHARACTERS // 3))


def phrases(chance: random.Random) -> str:
    """Sentences of four parts."""
    parts = (SUBJECTS, VERBS, OBJECTS, PLACES)
    return " ".join(" ".join(map(chance.choice, parts)) + "." for _ in range(CHARACTERS // 40))


def recall(chance: random.Random) -> str:
    """Blocks of three pairs, and the same pairs in another order."""
    blocks = []
    for _ in range(CHARACTERS // 24):
        keys = chance.sample("ABCDEFGH", 3)
        pairs = [key + str(chance.randrange(10)) for key in keys]
        blocks.append(" ".join(pairs) + "=" + " ".join(chance.sample(pairs, 3)))
    return "; ".join(blocks)


def noise(chance: random.Random) -> str:
    """Letters."""
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=CHARACTERS))


def main() -> None:
    """Write a file for each component."""
    parser = argparse.ArgumentParser(description="Make a corpus of which it is known what can be learned.")
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for make in (counting, phrases, recall, noise):
        chance = random.Random(make.__name__)
        lines = [json.dumps({"text": make(chance)}) + "\n" for _ in range(DOCUMENTS)]
        (directory / f"{make.__name__}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
