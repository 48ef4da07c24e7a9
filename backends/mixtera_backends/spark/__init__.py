"""Spark: the session that the engine and the indexing executor share, and how its failures are said."""
