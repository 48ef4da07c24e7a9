"""The service: jobs over HTTP. One process has a directory of jobs to itself; any number of clients attach."""
