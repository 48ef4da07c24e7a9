"""What a session has to work with."""

from __future__ import annotations

import time
from typing import Final

from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.functions import spark_partition_id

from mixtera.errors import EngineError
from mixtera_backends.spark.session import spark_errors

SETTLED_SECONDS: Final = 1.0
"""Executors of a cluster start together: when none has come for so long, these are all."""
_LOOK_SECONDS: Final = 0.1
_MANY: Final = 1 << 20
_settled: set[str] = set()
"""Applications whose executors have all come."""


def context_of(session: SparkSession) -> SparkContext | None:
    """Its context; None where Spark runs behind Spark Connect."""
    return getattr(session, "_sc", None)


def is_local(session: SparkSession) -> bool:
    """Whether its executors are threads on this machine."""
    context = context_of(session)
    return context is not None and str(context.master).startswith("local")


def master_of(session: SparkSession) -> str:
    """Who gives executors."""
    context = context_of(session)
    return "the server behind Spark Connect" if context is None else str(context.master)


def executors(session: SparkSession) -> int:
    """How many executors there are on a cluster whose driver is here."""
    context = context_of(session)
    return 0 if context is None else int(context._jsc.sc().getExecutorIds().size())


def parallelism(session: SparkSession, patience: float) -> int:
    """How many tasks can run at a time.

    Raises:
        EngineError: There is no executor.
    """
    context = context_of(session)
    with spark_errors():
        if context is None:
            return int(session.range(_MANY).select(spark_partition_id()).distinct().count())
        if not is_local(session):
            _wait(session, patience)
        return max(1, int(context.defaultParallelism))


def _wait(session: SparkSession, patience: float) -> None:
    """Wait for a first executor, and a moment for the others; once for each application."""
    application = str(session.sparkContext.applicationId)
    if application in _settled and executors(session):
        return
    known, since = 0, time.monotonic()
    while not known or time.monotonic() - since < SETTLED_SECONDS:
        found = executors(session)
        if found != known:
            known, since = found, time.monotonic()
        elif not known and time.monotonic() - since > patience:
            raise no_executor(session, patience)
        time.sleep(_LOOK_SECONDS)
    _settled.add(application)


def no_executor(session: SparkSession, patience: float) -> EngineError:
    """The error of a cluster that gives nothing."""
    return EngineError(
        f"spark: {master_of(session)} has given no executor for {patience:,.0f} s; nothing was changed. See there for "
        "workers that are alive and have free cores and memory"
    )
