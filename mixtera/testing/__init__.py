"""The laws that every plugin and every plan keeps, for plugin authors to run (DESIGN 2.7)."""
