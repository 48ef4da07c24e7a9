"""Measures Mixtera beside physical references of the same machine, in the same run: `make bench`."""
