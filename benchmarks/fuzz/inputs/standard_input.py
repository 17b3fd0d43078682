"""Standard input of `fer infer -`: lists of names, and images."""

from __future__ import annotations

from pathlib import Path
from random import Random

from benchmarks.fuzz.commands import run_fer
from benchmarks.fuzz.judge import CommandOutput
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_images
from benchmarks.fuzz.seeds.models import write_onnx
from benchmarks.fuzz.seeds.names import make_name


class Target:
    """Bytes on standard input."""

    def __init__(self, folder: Path) -> None:
        self._images = [content for contents in make_images().values() for content in contents]
        self._model = write_onnx(folder)
        # in the current folder: a damaged path might name another one, with anything in it
        Path("face.png").write_bytes(self._images[0])

    def write(self, random: Random, folder: Path) -> tuple[Path, str]:
        """A damaged list or image."""
        path = folder / "stdin"
        if random.random() < 0.5:
            content = random.choice(self._images)
            content = mutate(random, content) if random.random() < 0.6 else content
        else:
            names = [make_name(random) for _ in range(random.randrange(6))]
            names.insert(0, "face.png")
            end = random.choice(("\n", "\n", "\r\n", "\0"))
            content = end.join(names).encode("utf-8", "surrogateescape")
            content = mutate(random, content) if random.random() < 0.4 else content
        path.write_bytes(content)
        return path, random.choice(("--json", "--csv", "--align"))

    def run(self, case: tuple[Path, str]) -> CommandOutput:
        """Run the command."""
        path, option = case
        return run_fer(
            ["infer", "--model", str(self._model), "--faces", "whole", option, "-"], path
        )
