"""Labels of photographs: the faces in each, who found them, and how sure that is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fer_edge.atomic import write_text
from fer_edge.documents import read_json
from fer_edge.errors import DataError

Floats = npt.NDArray[np.float32]
Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
MIN_SCORE = 0.25
"""Lowest score of a face that is kept."""
_COLUMNS = 10
_ADVICE = "label the photographs again: fer detector label"


@dataclass(frozen=True)
class Kind:
    """What is known of the photographs of one folder.

    Attributes:
        certain: lowest score at which a face is certain. One of a lower score is unsure: training
            neither wants it found nor missed.
        has_people: False: there is no human face in it, whatever a detector finds.
        is_background: whether most of its photographs show no people.
    """

    certain: float = 0.6
    has_people: bool = True
    is_background: bool = False


KINDS = {
    "web": Kind(),
    "crowd": Kind(),
    "mask": Kind(),
    "flickr": Kind(),
    "coco": Kind(),
    # detectors find faces in things: only what is beyond doubt is one
    "object": Kind(certain=0.75, is_background=True),
    "scene": Kind(certain=0.75, is_background=True),
    "animal": Kind(has_people=False, is_background=True),
    "texture": Kind(has_people=False, is_background=True),
}
"""The folders of a split, by name."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph and its faces, in pixels of the file.

    Attributes:
        name: path below the folder of the data, as `train/web/web-1.jpg`.
        boxes: float32 `[N, 4]`, x and y of the upper left corner, width, height.
        eyes: float32 `[N, 4]`, x and y of the eye on the left of the photograph, then of the other.
        scores: float32 `[N]`, in [0, 1]; 1 where people marked the face.
        is_marked: bool `[N]`, whether people marked the face.
    """

    name: str
    boxes: Floats
    eyes: Floats
    scores: Floats
    is_marked: npt.NDArray[np.bool_]

    @property
    def faces(self) -> Floats:
        """Boxes and eyes, float32 `[N, 8]`."""
        return np.concatenate([self.boxes, self.eyes], 1)

    @property
    def kind_name(self) -> str:
        """The folder that it is in, a key of `KINDS`."""
        return self.name.split("/")[1]

    @property
    def kind(self) -> Kind:
        """What is known of its folder."""
        return KINDS[self.kind_name]

    @property
    def is_certain(self) -> npt.NDArray[np.bool_]:
        """Bool `[N]`: which of the faces are certain."""
        return self.is_marked | (self.scores >= self.kind.certain)

    @property
    def is_empty(self) -> bool:
        """Whether there is no face in it, not even an unsure one."""
        return not len(self.boxes)


def make_photograph(name: str, rows: npt.ArrayLike) -> Photograph:
    """Make one of rows of ten numbers: box, eyes, score, and 1 where people marked the face.

    Raises:
        ValueError: the rows aren't such numbers, or the name isn't of a known folder.
    """
    table = np.asarray(rows, np.float32).reshape(-1, _COLUMNS)
    parts = name.split("/")
    if len(parts) < 3 or parts[0] not in SPLITS or parts[1] not in KINDS or ".." in parts:
        raise ValueError(f"{name!r} is not of a form such as train/web/a.jpg")
    if not np.isfinite(table).all() or (table[:, 2:4] <= 0).any():
        raise ValueError(f"{name}: a box is empty, or isn't numbers")
    return Photograph(name, table[:, :4], table[:, 4:8], table[:, 8], table[:, 9] > 0)


def shift(faces: Floats, x: float, y: float) -> Floats:
    """Faces `[N, 8]` moved to the right and down by pixels, in their own dtype."""
    return faces + np.array([x, y, 0, 0, x, y, x, y], faces.dtype)


def mirror(faces: Floats, width: float) -> Floats:
    """Faces `[N, 8]` of an image of that width, seen in a mirror: the eyes are exchanged."""
    x, y, w, h, left_x, left_y, right_x, right_y = faces.T
    mirrored = (width - x - w, y, w, h, width - right_x, right_y, width - left_x, left_y)
    return np.stack(mirrored, 1).astype(np.float32)


@dataclass(frozen=True)
class Labels:
    """Labelled photographs of both splits, in order of their names.

    Attributes:
        photographs: all of them.
        sha256: of the file's content, for the run's folder and the spec.
    """

    photographs: tuple[Photograph, ...]
    sha256: str

    def split(self, name: Split) -> list[Photograph]:
        """The photographs of a split.

        Raises:
            DataError: there is none.
        """
        found = [one for one in self.photographs if one.name.startswith(f"{name}/")]
        if not found:
            raise DataError(f"the labels have no photograph of {name}: {_ADVICE}")
        return found


def write_labels(rows: Mapping[str, npt.ArrayLike], path: Path) -> None:
    """Write labels as JSON, one line for each photograph.

    Args:
        rows: by the photograph's name, rows of `make_photograph`.
        path: the file.
    """
    lines = (
        f" {json.dumps(name)}: {json.dumps(np.round(np.asarray(table, float), 3).tolist())}"
        for name, table in sorted(rows.items())
    )
    write_text(path, '{"photographs": {\n' + ",\n".join(lines) + "\n}}\n")


def read_labels(path: Path) -> Labels:
    """Read what `write_labels` wrote.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    try:
        document = read_json(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Labels(tuple(_read_photographs(document)), digest)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file: {_ADVICE}") from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}): {_ADVICE}") from None


def _read_photographs(document: object) -> Iterator[Photograph]:
    found = document.get("photographs") if isinstance(document, dict) else None
    if not isinstance(found, dict) or not found:
        raise ValueError("it holds no photographs")
    for name, rows in found.items():
        yield make_photograph(name, rows)
