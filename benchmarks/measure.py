"""One measurement in a process of its own: `python -m benchmarks.measure NAME '{"argument": …}'` prints JSON."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def _reference(name: str, arguments: dict[str, Any]) -> dict[str, float]:
    function = getattr(importlib.import_module("benchmarks.references"), name)
    files = [Path(file) for file in arguments.pop("files")]
    return {"seconds": function(files, **arguments)}


def main() -> None:
    """Run the reference or figure named on the command line."""
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    kind, _, function = name.partition(".")
    if kind == "references":
        result = _reference(function, arguments)
    else:
        result = getattr(importlib.import_module(f"benchmarks.{kind}"), function)(**arguments)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
