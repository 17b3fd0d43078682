"""Read FER2013 as Kaggle distributes it: `fer2013.csv` or `icml_face_data.csv`, plain or packed.

Source: Goodfellow et al., "Challenges in Representation Learning", ICML 2013 workshop,
arXiv:1307.0414. Each row holds a label 0 to 6, 48 x 48 gray pixels as decimal text, and the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.data.dataset import SPLITS, BadItem, FaceData, Faces, Split
from fer_edge.train.data.packed import open_lines

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIDE = 48
USAGE: dict[bytes, Split] = {b"Training": "train", b"PublicTest": "val", b"PrivateTest": "test"}
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
LICENCE = "research use only (Kaggle challenge, ICML 2013)"

_NUMBERS = frozenset(b"%d" % number for number in range(len(LABELS)))
_CHUNK = 512  # rows parsed together
_MAX_BAD = 100_000
"""Most invalid rows that are listed: FER2013 has 35,887 rows."""


@dataclass
class _Rows:
    """The rows parsed so far, and those that can't be parsed."""

    pixels: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    bad: list[BadItem] = field(default_factory=list)

    def add(self, lines: Sequence[tuple[int, bytes]], columns: tuple[int, int, int]) -> None:
        """Parse numbered lines; after a ValueError nothing was added."""
        fields = [_split_fields(line, columns) for _, line in lines]
        self.pixels.append(parse_pixels([text for _, text, _ in fields]))
        self.labels += [label for label, _, _ in fields]
        self.splits += [split for _, _, split in fields]
        self.rows += [row for row, _ in lines]

    def add_one_by_one(
        self, lines: Sequence[tuple[int, bytes]], columns: tuple[int, int, int], path: Path | None
    ) -> None:
        """Like `add`, but slower: collect bad rows or, if `path` is given, raise a DataError."""
        for line in lines:
            try:
                self.add([line], columns)
            except ValueError as error:
                location = f"line {line[0] + 2}"
                if path is not None:
                    raise DataError(
                        f"{path}: {location}: {error} (--skip-bad leaves such rows out, "
                        "fer data inspect lists them)"
                    ) from None
                self.bad.append(BadItem(location, str(error)))


def read_fer2013(path: Path, *, skip_bad: bool = False) -> FaceData:
    """Read FER2013 from its CSV file, plain, packed or in an archive; see `open_lines`.

    Args:
        path: the file.
        skip_bad: leave invalid rows out and list them in the result's `bad`, instead of raising.

    Raises:
        DataError: a row is invalid (named by its line, the header being line 1), the header isn't
            FER2013's, the file is damaged, or a split has no face of some label.
        OSError: the file can't be read.
    """
    found = _Rows()
    with open_lines(path, CSV_NAMES) as lines:
        columns = _find_columns(next(lines, b""), path)
        numbered = ((row, line) for row, line in enumerate(lines) if line.strip())
        while chunk := list(islice(numbered, _CHUNK)):
            try:
                found.add(chunk, columns)
            except ValueError:
                found.add_one_by_one(chunk, columns, None if skip_bad else path)
            if len(found.bad) > _MAX_BAD:
                raise DataError(f"{path}: more than {_MAX_BAD:,} invalid rows: not FER2013")
    if not found.rows:
        raise DataError(f"{path}: holds no valid face")
    everything = Faces(
        np.concatenate(found.pixels),
        np.array(found.labels, np.int64),
        np.array(found.rows, np.int64),
    )
    usage = np.array(found.splits)
    splits = {name: everything.take(usage == name) for name in SPLITS if (usage == name).any()}
    for name, faces in splits.items():
        counts = np.bincount(faces.labels, minlength=len(LABELS))
        if (counts == 0).any():
            raise DataError(f"{path}: no {name} face is {LABELS[int(np.argmin(counts))]!r}")
    return FaceData("FER2013", LICENCE, path, LABELS, splits, tuple(found.bad))


def _find_columns(header: bytes, path: Path) -> tuple[int, int, int]:
    """Indices of emotion, pixels and Usage; `icml_face_data.csv` has spaces before the names."""
    names = [name.strip(b' "\r\n\xef\xbb\xbf').lower() for name in header.split(b",")]
    if sorted(names) != [b"emotion", b"pixels", b"usage"]:
        shown = header[:60].decode("utf-8", "backslashreplace").strip()
        raise DataError(
            f"{path}: line 1: the header is {shown!r}, FER2013's is 'emotion,pixels,Usage'"
        )
    return names.index(b"emotion"), names.index(b"pixels"), names.index(b"usage")


def _split_fields(line: bytes, columns: tuple[int, int, int]) -> tuple[int, bytes, Split]:
    """Label, pixel text and split of a row; a ValueError says what is wrong with it."""
    fields = [field.strip(b' "\r\n') for field in line.split(b",")]
    if len(fields) != 3:
        raise ValueError(f"{len(fields)} fields instead of 3")
    emotion, text, usage = (fields[i] for i in columns)
    if emotion not in _NUMBERS:
        raise ValueError(f"the label {_show(emotion)} isn't one of 0 to 6")
    if usage not in USAGE:
        known = ", ".join(name.decode() for name in USAGE)
        raise ValueError(f"the Usage {_show(usage)} is none of {known}")
    return int(emotion), text, USAGE[usage]


def _show(text: bytes) -> str:
    return repr(text[:40].decode(errors="replace"))


def parse_pixels(texts: list[bytes]) -> npt.NDArray[np.uint8]:
    """Parse texts, each of 2,304 decimal numbers in [0, 255] separated by single spaces.

    All texts are parsed in one vectorized pass over their bytes: the last digit of each number is
    followed by a space, so each number is gathered from at most three bytes.

    Returns:
        uint8 `[len(texts), 48, 48]`.

    Raises:
        ValueError: a text has another format.
    """
    count = SIDE * SIDE
    for text in texts:
        if (found := len(text.split()) if text.count(b" ") != count - 1 else count) != count:
            raise ValueError(f"{found} pixels instead of {count}")
    data = np.frombuffer(b"  " + b" ".join(texts) + b" ", np.uint8)
    is_space = data == ord(" ")
    ends = np.flatnonzero(is_space)[1:]  # the first number ends at the third space or later
    digits = data - np.uint8(ord("0"))
    if (digits[~is_space] > 9).any():
        raise ValueError("a pixel isn't a whole number from 0 to 255")
    lengths = np.diff(ends) - 1
    ends = ends[1:]
    if len(texts) and (lengths.min() < 1 or lengths.max() > 3):
        raise ValueError("a pixel is missing or has more than three digits")
    values = digits[ends - 1].astype(np.uint16)
    tens = lengths >= 2
    values[tens] += digits[ends[tens] - 2] * np.uint16(10)
    hundreds = lengths == 3
    values[hundreds] += digits[ends[hundreds] - 3] * np.uint16(100)
    if len(texts) and values.max() > 255:
        raise ValueError(f"the pixel {values.max()} is over 255")
    return values.astype(np.uint8).reshape(-1, SIDE, SIDE)
