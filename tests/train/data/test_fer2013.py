from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.errors import DataError
from fer_edge.train.data.fer2013 import parse_pixels, read_fer2013
from tests.support.data import csv_row, draw_face

HEADER = "emotion,pixels,Usage"


def _gz(source: Path, folder: Path) -> Path:
    path = folder / "fer2013.csv.gz"
    path.write_bytes(gzip.compress(source.read_bytes()))
    return path


def _tar(source: Path, folder: Path) -> Path:
    path = folder / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(source, "fer2013/fer2013.csv")
    return path


def _zip(source: Path, folder: Path) -> Path:
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(source, "icml_face_data.csv")
    return path


@pytest.mark.parametrize("pack", [lambda source, _: source, _gz, _tar, _zip])
def test_every_packing_reads_alike(
    csv_file: Path, tmp_path: Path, pack: Callable[[Path, Path], Path]
) -> None:
    data = read_fer2013(pack(csv_file, tmp_path))
    assert data.counts() == {"train": 42, "val": 14, "test": 14}
    assert np.array_equal(data.splits["train"].pixels[0], draw_face(0, 0))
    assert data.splits["val"].labels.tolist() == [i // 2 for i in range(14)]
    assert data.splits["val"].rows[0] == 42


def test_icml_header_with_spaces_quotes_and_other_order(rows: list[str], tmp_path: Path) -> None:
    path = tmp_path / "icml_face_data.csv"
    lines = ["emotion, Usage, pixels"]
    for row in rows:
        label, pixels, usage = row.split(",")
        lines.append(f'{label},{usage},"{pixels}"')
    path.write_bytes("\r\n".join([*lines, "", ""]).encode())
    assert read_fer2013(path).counts() == {"train": 42, "val": 14, "test": 14}


GOOD = csv_row(0, draw_face(0, 1), "Training")
PIXELS = GOOD.split(",")[1]
BAD_ROWS = {
    "pixel count": (f"0,{PIXELS.rsplit(' ', 1)[0]},Training", "2303 pixels instead of 2304"),
    "label 9": (f"9,{PIXELS},Training", "the label '9' isn't one of 0 to 6"),
    "label text": (f"happy,{PIXELS},Training", "the label 'happy' isn't one of 0 to 6"),
    "usage": (f"0,{PIXELS},Holdout", "the Usage 'Holdout' is none of Training, PublicTest"),
    "over 255": (f"0,{PIXELS[:-1].rsplit(' ', 1)[0]} 256,Training", "256 is over 255"),
    "no number": (f"0,{PIXELS.rsplit(' ', 1)[0]} x,Training", "isn't a whole number"),
    "negative": (f"0,{PIXELS.rsplit(' ', 1)[0]} -1,Training", "isn't a whole number"),
    "four digits": (f"0,{PIXELS.rsplit(' ', 1)[0]} 0001,Training", "more than three digits"),
    "digits of other scripts": (f"\u0663,{PIXELS},Training", "isn't one of 0 to 6"),
    "label of many digits": (f"{'9' * 5000},{PIXELS},Training", "isn't one of 0 to 6"),
    "endless": (f"0,{PIXELS * 20},Training", "fields instead of 3"),
    "fields": (f"0,{PIXELS}", "2 fields instead of 3"),
}


@pytest.mark.parametrize(("row", "why"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_stops_with_its_line_or_is_counted(
    rows: list[str], tmp_path: Path, row: str, why: str
) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join([HEADER, *rows[:3], row, *rows[3:], row]))
    with pytest.raises(DataError, match=rf"fer2013\.csv: line 5: .*{why}"):
        read_fer2013(path)
    data = read_fer2013(path, skip_bad=True)
    assert data.counts() == {"train": 42, "val": 14, "test": 14}
    assert [bad.location for bad in data.bad] == ["line 5", "line 73"]
    assert why in data.bad[0].reason
    assert data.splits["train"].rows[:5].tolist() == [0, 1, 2, 4, 5]


def test_truncated_archives(csv_file: Path, tmp_path: Path) -> None:
    for pack in (_gz, _tar, _zip):
        path = pack(csv_file, tmp_path)
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(DataError, match=rf"{path.name}: damaged or cut off.*download it again"):
            read_fer2013(path)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(DataError, match=r"holds no file fer2013\.csv or icml_face_data\.csv"):
        read_fer2013(path)
    path = tmp_path / "x.csv"
    path.write_text("id,emotion,pixels,Usage\n1,2,3\n")
    with pytest.raises(DataError, match="line 1: the header is"):
        read_fer2013(path)
    path.write_text("pixels\n1 2 3\n")
    with pytest.raises(DataError, match="line 1: the header is"):
        read_fer2013(path)
    path.write_text(HEADER + "\n")
    with pytest.raises(DataError, match="holds no valid face"):
        read_fer2013(path)


def test_an_empty_class(rows: list[str], tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join([HEADER, *(row for row in rows if not row.startswith("3"))]))
    with pytest.raises(DataError, match="no train face is 'happy'"):
        read_fer2013(path)


@given(st.lists(st.binary(min_size=2304, max_size=2304), min_size=1, max_size=3))
def test_any_pixels_are_read_back(faces: list[bytes]) -> None:
    texts = [" ".join(map(str, face)).encode() for face in faces]
    assert parse_pixels(texts).tobytes() == b"".join(faces)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_any_other_bytes_are_a_value_error(texts: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"pixels instead of|whole number|digits|over 255"):
        parse_pixels(texts)


NUMBERS = st.sampled_from([b"0", b"7", b"42", b"255", b"256", b"-1", b"x", b"", b"1e2", b"0001"])


@given(st.dictionaries(st.integers(0, 2303), NUMBERS))
def test_numbers_agree_with_int(places: dict[int, bytes]) -> None:
    numbers = [places.get(i, b"9") for i in range(2304)]
    if set(numbers) <= {b"0", b"7", b"9", b"42", b"255"}:
        assert parse_pixels([b" ".join(numbers)]).ravel().tolist() == [int(n) for n in numbers]
    else:
        with pytest.raises(ValueError, match="pixel"):
            parse_pixels([b" ".join(numbers)])
