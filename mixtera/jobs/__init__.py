"""Jobs: what a training run attaches to. A plan, the timeline of its weights so far, and who reads it."""

from mixtera.jobs.job import Job

__all__ = ["Job"]
