"""BigQuery: its SQL is printed, by Ibis; it is not run."""

from mixtera_backends.engines.printing import PrintingEngine


class BigQueryEngine(PrintingEngine):
    """BigQuery's dialect."""

    name = "bigquery"
    dialect = "bigquery"
