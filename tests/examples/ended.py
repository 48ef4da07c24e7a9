"""Runs a script as its user does, and then looks whether its process group is gone: SCRIPT ARGUMENTS….

Threads of Gloo that outlive the interpreter abort the process in one run of some hundreds: see torch_pretraining.py.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    script = Path(sys.argv[1])
    sys.argv, sys.path[0] = sys.argv[1:], str(script.parent)
    runpy.run_path(str(script), run_name="__main__")
    threads = [file.read_text(encoding="utf-8").strip() for file in Path("/proc/self/task").glob("*/comm")]
    assert "pt_gloo_runloop" not in threads, threads
