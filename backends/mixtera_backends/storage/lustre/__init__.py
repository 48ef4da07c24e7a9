"""Paths that lie on a Lustre file system, recognised by the table of mounts: large reads along stripes, few requests.

A file is opened once and described once, through its descriptor, when samples are read; directories are listed only
when a source is indexed, each once. Where `lfs` is installed it says how wide the stripes of a directory are; else they
are taken to be 1 MiB. No Lustre was available to those who wrote this: it is tested on a local file system that a table
of mounts calls Lustre, with an `lfs` of the tests, and by the counts of what it asks the system.
"""

from __future__ import annotations

from mixtera_backends.storage.lustre.storage import LustreStorage

__all__ = ["LustreStorage"]
