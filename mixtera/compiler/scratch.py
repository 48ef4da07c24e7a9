"""Long arrays on disk, as the compiler calls them; see `mixtera.scratch`."""

from mixtera.scratch import scratch as scratch
