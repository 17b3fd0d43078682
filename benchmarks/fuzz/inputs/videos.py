"""Video files: bytes, sizes of boxes and packets."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import av  # noqa: F401 - imported before the worker is forked

from benchmarks.fuzz.inputs.images import check_result
from benchmarks.fuzz.mutations import mutate, set_integer
from benchmarks.fuzz.seeds.images import make_images
from benchmarks.fuzz.seeds.videos import write_videos
from fer_edge import Recognizer

_MAX_FRAMES = 100
_BOXES = (b"moov", b"trak", b"mdia", b"stbl", b"stts", b"stsz", b"stco", b"tkhd", b"mvhd", b"elst")


class Target:
    """A damaged video in a container of any suffix."""

    def __init__(self, folder: Path) -> None:
        self._seeds = write_videos(folder)
        self._seeds[".mjpg"] = 3 * make_images()["jpeg"][-1]  # with EXIF
        self._recognizer = Recognizer.load(faces="whole", threads=1)

    def write(self, random: Random, folder: Path) -> Path:
        """Damage a video."""
        suffix = random.choice(list(self._seeds))
        content = self._seeds[suffix]
        if random.random() < 0.4 and (
            places := [at for box in _BOXES if (at := content.find(box)) > 0]
        ):
            data = bytearray(content)
            # a box's size is before its name, its fields are behind it
            at = random.choice(places) + random.choice((-4, 4, 8, 12, 16, 20))
            set_integer(random, data, min(at, len(data) - 4), 4)
            content = bytes(data)
        else:
            content = mutate(random, content, list(self._seeds.values()))
        if random.random() < 0.1:
            suffix = random.choice(list(self._seeds))
        path = folder / f"video{suffix}"
        path.write_bytes(content)
        return path

    def run(self, case: Path) -> None:
        """Read its first frames."""
        for result in islice(self._recognizer.stream(case), _MAX_FRAMES):
            check_result(result)
