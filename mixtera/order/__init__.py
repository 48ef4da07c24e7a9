"""The order: pure functions from a position to a component and its place (DESIGN 2.4). Knows no file and no engine."""
