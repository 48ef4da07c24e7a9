"""The demo: the whole way on a real corpus made from the files of this machine's own Python installation."""
