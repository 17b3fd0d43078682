"""Damaged and strange inputs, tried by the thousand: see `benchmarks/fuzz/__main__.py`."""
