"""Snowflake: its SQL is printed, by Ibis; it is not run."""

from mixtera_backends.engines.printing import PrintingEngine


class SnowflakeEngine(PrintingEngine):
    """Snowflake's dialect."""

    name = "snowflake"
    dialect = "snowflake"
