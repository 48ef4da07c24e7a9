"""Everything that knows a vendor by name: storages and engines, found through their entry points."""
