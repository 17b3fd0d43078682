"""Folders of classes with wild names, links, pipes and damaged images."""

from __future__ import annotations

from pathlib import Path
from random import Random

from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_images
from benchmarks.fuzz.seeds.models import LABELS
from benchmarks.fuzz.seeds.names import fill_folder, make_name
from fer_edge.train.data.folders import read_folders

_SPLITS = (("",), ("train", "test"), ("train", "val", "test"), ("Train", "validation"), ("test",))


class Target:
    """A data set in folders."""

    def __init__(self, _: Path) -> None:
        images = make_images()
        self._images = [images[name][0] for name in ("png", "jpeg", "webp", "bmp")]

    def write(self, random: Random, folder: Path) -> tuple[Path, bool]:
        """Make a sound data set, then damage it."""
        root = folder / "data"
        labels = random.sample(LABELS, random.choice((2, 2, 3)))
        places = [root / split / label for split in random.choice(_SPLITS) for label in labels]
        for place in places:
            place.mkdir(parents=True)
            for i in range(4):
                (place / f"{i}.png").write_bytes(random.choice(self._images))
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            self._damage(random, random.choice(places), root)
        return root, random.random() < 0.5

    def run(self, case: tuple[Path, bool]) -> None:
        """Read it."""
        root, skip_bad = case
        read_folders(root, side=48, skip_bad=skip_bad)

    def _damage(self, random: Random, place: Path, root: Path) -> None:
        action = random.randrange(5)
        if action == 0:
            fill_folder(random, root, self._images, 2)
        elif action == 1:
            (place / "0.png").write_bytes(mutate(random, random.choice(self._images)))
        elif action == 2:
            for i in range(random.choice((1, 4))):
                (place / f"{i}.png").unlink(missing_ok=True)
        elif action == 3:
            renamed = place.with_name(make_name(random).replace("/", "") or "x")
            if not renamed.exists():
                place.rename(renamed)
                place.mkdir()
        else:
            fill_folder(random, place, self._images, 3)
