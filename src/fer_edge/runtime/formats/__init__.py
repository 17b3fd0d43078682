"""Model files, read without an engine."""
