"""The cache of training data: a damaged one is read anew, and never used."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.fuzz.judge import WrongResultError
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.faces import write_csv
from fer_edge.train.data.loading import read_data


class Target:
    """A damaged `.npz` beside sound data."""

    def __init__(self, folder: Path) -> None:
        logging.disable(logging.WARNING)
        self._csv = write_csv(folder)
        self._cache = folder / "cache"
        os.environ["FER_EDGE_CACHE"] = str(self._cache)
        self._data = read_data(self._csv)
        (self._path,) = self._cache.glob("*.npz")
        self._content = self._path.read_bytes()

    def write(self, random: Random, folder: Path) -> Path:
        """Damage the cache; its start and end are where the archive's structure is."""
        content = bytearray(self._content)
        part = random.randrange(3)
        if part == 0:
            content = bytearray(mutate(random, bytes(content)))
        elif part == 1:
            content[:400] = mutate(random, bytes(content[:400]))
        else:
            content[-1200:] = mutate(random, bytes(content[-1200:]))
        self._path.write_bytes(content)
        (folder / "cache.npz").write_bytes(content)
        return self._path

    def run(self, _: Path) -> None:
        """Read the data, and compare it with what the file holds."""
        data = read_data(self._csv)
        for name, faces in self._data.splits.items():
            found = data.splits[name]
            if not np.array_equal(found.pixels, faces.pixels) or list(found.labels) != list(
                faces.labels
            ):
                raise WrongResultError("other data than the file's")
