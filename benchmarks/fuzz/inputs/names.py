"""File names, links, loops and pipes in a folder, and names given on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import av  # noqa: F401 - imported before the worker is forked

from benchmarks.fuzz.commands import run_fer
from benchmarks.fuzz.judge import CommandOutput
from benchmarks.fuzz.seeds.images import make_images
from benchmarks.fuzz.seeds.models import write_onnx
from benchmarks.fuzz.seeds.names import fill_folder, make_name
from benchmarks.fuzz.seeds.videos import write_videos


class Target:
    """`fer infer` on such a folder, on one of its files, or on a pattern."""

    def __init__(self, folder: Path) -> None:
        self._model = write_onnx(folder)
        images = make_images()
        videos = write_videos(folder)
        self._contents = [*(images[name][0] for name in images), *videos.values(), b"", b"text\n"]

    def write(self, random: Random, folder: Path) -> list[str]:
        """Fill a folder; return the command's arguments."""
        root = folder / "root"
        root.mkdir()
        fill_folder(random, root, self._contents, random.choice((1, 2, 5, 12)))
        walked = os.walk(root)
        inside = sorted(os.path.join(parent, n) for parent, _, ns in walked for n in ns)  # noqa: PTH118
        source = random.choice(
            (
                str(root),
                str(root),
                random.choice(inside or [str(root)]),
                str(root / random.choice(("*", "**", "*.png", make_name(random)))),
                "./" + make_name(random),
            )
        )
        ways: tuple[list[str], ...] = (
            [],
            ["--json"],
            ["--csv"],
            ["--output", str(folder / "out.jsonl")],
            ["--output", str(folder / "out.csv")],
            ["--save", str(folder / "saved")],
        )
        return [
            "infer",
            "--model",
            str(self._model),
            "--faces",
            "whole",
            *random.choice(ways),
            "--",
            source,
        ]

    def run(self, case: list[str]) -> CommandOutput:
        """Run the command."""
        return run_fer(case)
