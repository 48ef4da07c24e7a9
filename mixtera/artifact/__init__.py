"""What a plan holds, on disk and in memory, and where the order meets it."""
