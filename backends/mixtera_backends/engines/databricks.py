"""Databricks: its SQL is printed, by Ibis; it is not run."""

from mixtera_backends.engines.printing import PrintingEngine


class DatabricksEngine(PrintingEngine):
    """Databricks's dialect."""

    name = "databricks"
    dialect = "databricks"
