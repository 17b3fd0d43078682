"""Print constraints that pin what users install to its lowest allowed versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

LOWER_BOUND = re.compile(r"^([\w.-]+)(?:\[\w+\])?>=([\w.]+)")
TOOLS = ("all", "dev", "docs")
"""Extras of this project's own tools, and the one that repeats the others."""


def lowest_versions(pyproject: Path) -> set[str]:
    """Constraints like `numpy==1.26`, of the dependencies and of every extra that users install."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    requirements = list(project["dependencies"])
    for extra, members in project["optional-dependencies"].items():
        requirements += () if extra in TOOLS else members
    found = {one: LOWER_BOUND.match(one) for one in requirements}
    without = [one for one, match in found.items() if match is None]
    if without:
        raise ValueError(f"no lower bound: {', '.join(without)}")
    return {f"{match[1]}=={match[2]}" for match in found.values() if match}


if __name__ == "__main__":
    print("\n".join(sorted(lowest_versions(Path(__file__).parents[1] / "pyproject.toml"))))
