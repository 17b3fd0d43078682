"""Folders of classes with wild names, links, pipes and damaged images."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_images
from benchmarks.fuzz.seeds.models import LABELS
from benchmarks.fuzz.seeds.names import fill_folder, make_name
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.data.folders import read_folders
from fer_edge.train.data.inspection import inspect_data, read_for_inspection
from fer_edge.train.evaluation.evaluation_data import load_evaluation_data

_READERS = ("train", "evaluate", "inspect")
_SPLITS = (("",), ("train", "test"), ("train", "val", "test"), ("Train", "validation"), ("test",))


class Target:
    """A data set in folders."""

    def __init__(self, _: Path) -> None:
        images = make_images()
        self._specs = {"m": read_spec(bundled("model"))}
        self._images = [images[name][0] for name in ("png", "jpeg", "webp", "bmp")]

    def write(self, random: Random, folder: Path) -> tuple[Path, bool, str]:
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
        return root, random.random() < 0.5, random.choice(_READERS)

    def run(self, case: tuple[Path, bool, str]) -> None:
        """Read it as one of the commands does."""
        root, skip_bad, reader = case
        if reader == "train":
            read_folders(root, side=48, skip_bad=skip_bad)
        elif reader == "evaluate":
            load_evaluation_data(root, "test", self._specs, skip_bad=skip_bad)
        else:
            inspect_data(read_for_inspection(root)[0])

    def _damage(self, random: Random, place: Path, root: Path) -> None:
        action = random.randrange(5)
        if action == 0:
            fill_folder(random, root, self._images, 2)
        elif action == 1:
            with suppress(FileExistsError), (place / "damaged.png").open("xb") as stream:
                stream.write(mutate(random, random.choice(self._images)))
        elif action == 2:
            for i in range(random.choice((1, 4))):
                with suppress(IsADirectoryError):  # of that name, from another damage
                    (place / f"{i}.png").unlink(missing_ok=True)
        elif action == 3:
            renamed = place.with_name(make_name(random).replace("/", "") or "x")
            if not renamed.exists():
                place.rename(renamed)
                place.mkdir()
        else:
            fill_folder(random, place, self._images, 3)
