"""Trino: its SQL is printed, by Ibis; it is not run."""

from mixtera_backends.engines.printing import PrintingEngine


class TrinoEngine(PrintingEngine):
    """Trino's dialect."""

    name = "trino"
    dialect = "trino"
