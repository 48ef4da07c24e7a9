"""The process behind tests.commands: it has imported what the commands need, and forks one off for each command.

It imports and does nothing else, so that a fork of it is like an interpreter that has just got so far: one thread, no
connection, no open file. Libraries that must not be forked are left to the commands.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import socket
import sys
import threading
from typing import Any, NoReturn

import mixtera
from mixtera.catalog.children import NOT_FORKED
from mixtera.cli.main import main

LIBRARIES = (
    "ibis.backends.sql.compilers.duckdb",
    "pandas",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pyiceberg.catalog.noop",
    "pyiceberg.table",
    "rich.console",
    "rich.progress",
    "rich.table",
    "starlette.applications",
    "uvicorn",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "yaml",
)
"""What commands import where they use it."""
LEFT_OUT = ("mixtera.adapters", "mixtera.testing")
"""What no command uses."""


def prepare() -> None:
    """Import all that a command may need, but for what must not be forked."""
    parts = [name for _, name, _ in pkgutil.iter_modules(mixtera.__path__, "mixtera.") if name not in LEFT_OUT]
    names = [*parts]
    for part in parts:
        path = getattr(importlib.import_module(part), "__path__", ())
        names += [name for _, name, _ in pkgutil.walk_packages(path, f"{part}.")]
    for name in (*names, *LIBRARIES):
        try:
            importlib.import_module(name)
        except ImportError:  # the command says so, if it needs it
            continue
    assert NOT_FORKED.isdisjoint(sys.modules), NOT_FORKED & sys.modules.keys()


def serve(requests: socket.socket) -> dict[str, Any]:
    """Fork for each request, until there are no more: then this ends. Returns in the forks, with what they are to do.

    With a request come three files: standard output, standard error, and where to write the process id and, when it
    has ended, the code of the exit.
    """
    gc.collect()
    gc.freeze()  # looking at what all share would copy it
    running: set[int] = set()
    while True:
        content, files, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        running -= {keeper for keeper in running if os.waitpid(keeper, os.WNOHANG)[0]}
        if not content:
            sys.exit()
        keeper = os.fork()
        running.add(keeper)
        if not keeper:
            requests.close()
            watch(*files)
            return json.loads(content)  # type: ignore[no-any-return]
        for file in files:
            os.close(file)


def watch(out: int, err: int, status: int) -> None:
    """Fork once more. Returns in the child; its parent waits for it, and says how it ended."""
    child = os.fork()
    if not child:
        os.close(status)
        for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
            os.dup2(file, number)
            os.close(file)
        return
    os.close(out)
    os.close(err)
    try:
        os.write(status, b"%d\n" % child)
        _, code = os.waitpid(child, 0)
        os.write(status, b"%d\n" % os.waitstatus_to_exitcode(code))
    except BrokenPipeError:  # nobody wants to know any more
        pass
    os._exit(0)


def command(requests: int) -> NoReturn:
    """What runs in the forks: the command line."""
    prepare()
    asked = serve(socket.socket(fileno=requests))
    os.chdir(asked["directory"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    if asked["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["file_bytes"], resource.RLIM_INFINITY))
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [os.path.dirname(sys.executable), *filter(None, given)]  # noqa: PTH120 - as it is in the program
    code = main(asked["words"])
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take down all that was imported would cost as much as importing it
