"""Skips for what a machine may lack."""

from __future__ import annotations

import pytest


def needs_ncnn(format: str = "ncnn") -> None:
    """Skip a test of the format ncnn where its model can't be exported or run."""
    if format == "ncnn":
        for package in ("pnnx", "ncnn"):
            pytest.importorskip(package, reason=f"{package} isn't installed")
