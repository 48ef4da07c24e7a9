"""The Spark session: the one that this process has, or a new one, made as Spark's own configuration says.

Without any configuration that is `local[*]`: this machine, all its processors. `MIXTERA_SPARK_MASTER` names a master
for Mixtera alone; else Spark's own `spark-defaults.conf`, `PYSPARK_SUBMIT_ARGS` and `SPARK_REMOTE` count.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from mixtera.errors import EngineError

MASTER: Final = "MIXTERA_SPARK_MASTER"
"""Variable that names the master."""
REACHED_SECONDS: Final = 5.0
"""How long a standalone master may take to accept a connection; Spark itself tries for a minute."""
_CONFIGURING: Final = frozenset({"SPARK_REMOTE", "SPARK_CONF_DIR", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS", "MASTER"})
"""Variables by which Spark may be told of another master than this machine."""
_SAID_TO_NEW: Final = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
_SHOWN: Final = 2000
_PATIENCE: Final = "MIXTERA_SPARK_PATIENCE"
"""Variable with the seconds that a job waits for a first or another executor. A cluster that grows on demand takes
minutes; Spark itself waits for ever when all executors are gone and none comes."""
_PATIENCE_SECONDS: Final = 300.0
_STANDALONE: Final = "spark://"
_TRACEBACK: Final = "Traceback (most recent call last)"
_AT: Final = re.compile(r"\n\s+at |\n\nJVM stacktrace|\nCaused by|\nDriver stacktrace")
_SETTINGS: Final = {
    "spark.sql.caseSensitive": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "131072",
}


def session_beside(given: SparkSession | None) -> SparkSession:
    """A session with settings and views of its own.

    Args:
        given: One of the application that is used; None for the application of this process. That is started by the
            first call and ends with the process: a second start costs ten seconds, and others may use it too.

    Raises:
        EngineError: There is no Java, or no master where one is said to be.
    """
    with spark_errors():
        own = (_application() if given is None else given).newSession()
        for name, value in _SETTINGS.items():
            own.conf.set(name, value)
    return own


def _application() -> SparkSession:
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    builder = SparkSession.builder.appName("mixtera")
    master = os.environ.get(MASTER)
    if master is not None:
        _check_reachable(master)
        builder = builder.master(master)
    if not os.environ.get("SPARK_REMOTE"):
        for name, value in _SAID_TO_NEW.items():
            builder = builder.config(name, value)
    with _environment(_variables(master)), unwarned():
        return builder.getOrCreate()


def _variables(master: str | None) -> dict[str, str]:
    """What Spark is told by the environment: executors have this Python, unless something names another.

    A local master talks to nobody else: with this address it listens for nobody else, and asks no name server.
    """
    found = {"PYSPARK_PYTHON": sys.executable}
    local = not _CONFIGURING & os.environ.keys() if master is None else master.startswith("local")
    return found | ({"SPARK_LOCAL_IP": "127.0.0.1"} if local else {})


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables that are not set, for the Java process that is started meanwhile."""
    new = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


@contextmanager
def unwarned() -> Iterator[None]:
    """Leave out that PySpark warns of pandas 3: it asks for pandas, but nothing here goes through it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


def patience() -> float:
    """How long a job waits where there is no executor, in seconds.

    Raises:
        EngineError: The variable is no number of seconds.
    """
    text = os.environ.get(_PATIENCE, "")
    if not text:
        return _PATIENCE_SECONDS
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise EngineError(f"spark: {_PATIENCE}={text} is no number of seconds; write such as 300")
    return float(text)


def _check_reachable(master: str) -> None:
    """Refuse a standalone master that nobody answers for.

    Raises:
        EngineError: So it is.
    """
    if not master.startswith(_STANDALONE):
        return
    failures = []
    for address in master.removeprefix(_STANDALONE).split(","):
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()):
            raise EngineError(f"spark: {MASTER}={master} is no master; write spark://HOST:PORT")
        try:
            socket.create_connection((host.strip("[]"), int(port)), REACHED_SECONDS).close()
        except OSError as error:
            failures.append(f"{address}: {error.strerror or error}")
        else:
            return
    raise EngineError(f"spark: no master answers at {master} ({'; '.join(failures)}); start it, or correct {MASTER}")


@contextmanager
def spark_errors() -> Iterator[None]:
    """Turn what Spark, its JVM and the connection to it raise into an EngineError."""
    from ibis.common.exceptions import IbisError

    try:
        yield
    except EngineError:
        raise
    except (PySparkException, Py4JError, IbisError, pa.ArrowException, OSError) as error:
        raise EngineError(f"spark: {said(error)}") from error


def said(error: BaseException) -> str:
    """What an exception of Spark says, without the stacks of the JVM and of Python."""
    text = _innermost(error).strip() or type(error).__name__
    if "JAVA_GATEWAY_EXITED" in text:
        return "its Java process did not start: Spark 4 needs Java 17 or newer, on the PATH or at JAVA_HOME"
    if isinstance(error, ConnectionError | Py4JNetworkError) or "Connection refused" in text:
        return f"the connection to its driver was lost ({text}); nothing was changed: run the command again"
    if _TRACEBACK in text:
        text = text.rstrip().rpartition("\n")[2]
    if "No module named 'mixtera" in text:
        return f"{text}; the Python of the executors must have Mixtera: install it there, or name it by PYSPARK_PYTHON"
    return _AT.split(text, maxsplit=1)[0].strip()[:_SHOWN]


def _innermost(error: BaseException) -> str:
    """The message of the cause of the cause: what is around it says that a job was aborted, or waited for in vain."""
    java = getattr(error, "java_exception", None)
    if java is None:
        return str(error)
    try:
        while (cause := java.getCause()) is not None:
            java = cause
        return str(java.getMessage() or java.toString())
    except (Py4JError, OSError):  # the driver is gone by now
        return str(error)
