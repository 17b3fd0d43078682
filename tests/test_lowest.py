"""The constraints of `make test-lowest`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lowest import lowest_versions

PYPROJECT = """
[project]
dependencies = ["numpy>=1.26", "one>=2; platform_machine == 'armv7l'"]
[project.optional-dependencies]
train = ["torch>=2.10,!=2.11", {extra}]
all = ["fer-edge[train]"]
dev = ["pytest"]
"""


def test_every_dependency_and_extra_is_pinned_to_its_lower_bound(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(extra='"ray[data]>=2.60"'))
    pinned = {"numpy==1.26", "one==2", "torch==2.10", "ray==2.60"}
    assert lowest_versions(tmp_path / "pyproject.toml") == pinned


def test_a_dependency_without_a_lower_bound_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(extra='"av"'))
    with pytest.raises(ValueError, match=r"no lower bound: av$"):
        lowest_versions(tmp_path / "pyproject.toml")
