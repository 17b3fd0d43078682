"""FER2013 as Kaggle gives it: `fer2013.csv` or `icml_face_data.csv`, plain or packed.

Source: Goodfellow et al., "Challenges in Representation Learning", ICML 2013 workshop,
arXiv:1307.0414. Each row holds a label 0 to 6, 48 x 48 gray pixels as decimal text, and the split.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.data.dataset import SPLITS, Bad, FaceData, Faces, Split

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIDE = 48
USAGE: dict[bytes, Split] = {b"Training": "train", b"PublicTest": "val", b"PrivateTest": "test"}
NAMES = ("fer2013.csv", "icml_face_data.csv")
LICENCE = "research use only (Kaggle challenge, ICML 2013)"

_BROKEN = (EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
_LOCKED = (RuntimeError, NotImplementedError)  # what zipfile says of passwords and odd compression
_ROWS_AT_ONCE = 512


@contextmanager
def _archived_in(archive: zipfile.ZipFile | tarfile.TarFile, path: Path) -> Iterator[IO[bytes]]:
    names = archive.namelist() if isinstance(archive, zipfile.ZipFile) else archive.getnames()
    found = [name for name in names if name.rsplit("/", 1)[-1] in NAMES]
    if not found:
        raise DataError(
            f"{path}: holds neither {' nor '.join(NAMES)} (class folders are read unpacked)"
        )
    if isinstance(archive, zipfile.ZipFile):
        stream: IO[bytes] | None = archive.open(found[0])
    else:
        stream = archive.extractfile(found[0])
    if stream is None:
        raise DataError(f"{path}: {found[0]} isn't a file")
    with stream:
        yield stream


@contextmanager
def _open_csv(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, _archived_in(archive, path) as stream:
            yield stream
    elif path.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")):
        with tarfile.open(path) as tar, _archived_in(tar, path) as stream:
            yield stream
    elif path.suffix == ".gz":
        with gzip.open(path) as packed:
            yield packed  # type: ignore[misc]  # a GzipFile reads lines as any IO[bytes] does
    else:
        with path.open("rb") as stream:
            yield stream


def read_fer2013(path: Path, *, skip_bad: bool = False) -> FaceData:
    """Read FER2013 from a CSV, `.csv.gz`, `.tar.gz` or `.zip`.

    Args:
        path: the file.
        skip_bad: leave wrong rows out and list them in the result's `bad`, instead of stopping.

    Raises:
        DataError: a row is wrong (named by line, the header being line 1), the header isn't
            FER2013's, or the archive is damaged.
        OSError: the file can't be read.
    """
    pixels: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    splits: list[Split] = []
    rows: list[int] = []
    bad: list[Bad] = []
    texts: list[bytes] = []
    try:
        with _open_csv(path) as stream:
            columns = _columns(stream.readline(), path)
            for row, line in enumerate(stream):
                if not line.strip():
                    continue
                try:
                    label, text, split = _fields(line, columns)
                except ValueError as error:
                    _refuse(path, row, error, bad, skip_bad)
                    continue
                labels.append(label)
                splits.append(split)
                rows.append(row)
                texts.append(text)
                if len(texts) == _ROWS_AT_ONCE:
                    pixels.append(_flush(texts, labels, splits, rows, path, bad, skip_bad))
            pixels.append(_flush(texts, labels, splits, rows, path, bad, skip_bad))
    except _BROKEN as error:
        raise DataError(
            f"{path}: damaged or cut off after line {rows[-1] + 2 if rows else 1} ({error}): "
            "fetch it again"
        ) from None
    except _LOCKED as error:
        raise DataError(f"{path}: can't be unpacked ({error}): unpack it first") from None
    except gzip.BadGzipFile as error:
        raise DataError(f"{path}: not what its name says ({error})") from None
    everything = Faces(np.concatenate(pixels), np.array(labels, np.int64), np.array(rows, np.int64))
    if not len(everything):
        raise DataError(f"{path}: holds no face")
    usage = np.array(splits)
    found = {name: everything.take(usage == name) for name in SPLITS if (usage == name).any()}
    _refuse_empty_class(path, found)
    return FaceData("FER2013", LICENCE, path, LABELS, found, tuple(bad))


def _refuse_empty_class(path: Path, splits: dict[Split, Faces]) -> None:
    for name, faces in splits.items():
        counts = np.bincount(faces.labels, minlength=len(LABELS))
        if (counts == 0).any():
            raise DataError(f"{path}: no {name} face is {LABELS[int(np.argmin(counts))]!r}")


def _columns(header: bytes, path: Path) -> tuple[int, int, int]:
    """The places of emotion, pixels and Usage; `icml_face_data.csv` has spaces before the names."""
    names = [name.strip(b' "\r\n\xef\xbb\xbf').lower() for name in header.split(b",")]
    if sorted(names) != [b"emotion", b"pixels", b"usage"]:
        raise DataError(
            f"{path}: line 1: the header is {header[:60]!r}, FER2013's is 'emotion,pixels,Usage'"
        )
    return names.index(b"emotion"), names.index(b"pixels"), names.index(b"usage")


def _fields(line: bytes, columns: tuple[int, int, int]) -> tuple[int, bytes, Split]:
    fields = [field.strip(b' "\r\n') for field in line.split(b",")]
    if len(fields) != 3:
        raise ValueError(f"{len(fields)} fields instead of 3")
    emotion, text, usage = (fields[i] for i in columns)
    if not emotion.isdigit() or int(emotion) >= len(LABELS):
        raise ValueError(f"the label {emotion.decode(errors='replace')!r} isn't one of 0 to 6")
    if usage not in USAGE:
        raise ValueError(
            f"the Usage {usage.decode(errors='replace')!r} is none of "
            f"{', '.join(name.decode() for name in USAGE)}"
        )
    return int(emotion), text, USAGE[usage]


def _flush(
    texts: list[bytes],
    labels: list[int],
    splits: list[Split],
    rows: list[int],
    path: Path,
    bad: list[Bad],
    skip_bad: bool,
) -> npt.NDArray[np.uint8]:
    """Parse the texts of the last rows at once; where that fails, one by one to name the row."""
    count = len(texts)
    pending, texts[:] = list(texts), []
    try:
        return parse_pixels(pending)
    except ValueError:
        good, wrong = [], []
        first = len(rows) - count
        for place, text in enumerate(pending, first):
            try:
                good.append(parse_pixels([text]))
            except ValueError as error:
                _refuse(path, rows[place], error, bad, skip_bad)
                wrong.append(place)
        for place in reversed(wrong):
            del labels[place], splits[place], rows[place]
        return np.concatenate([np.empty((0, SIDE, SIDE), np.uint8), *good])


def _refuse(path: Path, row: int, error: ValueError, bad: list[Bad], skip_bad: bool) -> None:
    where = f"line {row + 2}"
    if not skip_bad:
        raise DataError(f"{path}: {where}: {error} (--skip-bad leaves such rows out)")
    bad.append(Bad(where, str(error)))


def parse_pixels(texts: list[bytes]) -> npt.NDArray[np.uint8]:
    """Decimal texts, each of 2,304 numbers in [0, 255] with single spaces between, as pixels.

    All texts are parsed in one pass over their bytes: the last digit of each number stands before a
    space, so a number is a gather of at most three bytes. (82 million numbers in a few seconds.)

    Returns:
        uint8 `[len(texts), 48, 48]`.

    Raises:
        ValueError: a text holds anything else.
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
