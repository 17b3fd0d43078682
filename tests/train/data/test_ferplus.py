from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.errors import DataError
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.fer2013 import read_fer2013
from fer_edge.train.data.ferplus import read_votes
from tests.support.data import write_votes


@pytest.fixture(scope="module")
def data(csv_file: Path) -> FaceData:
    return read_fer2013(csv_file)


def test_votes_are_joined_to_faces_by_row(data: FaceData, tmp_path: Path) -> None:
    votes = read_votes(write_votes(tmp_path / "v.csv"), data)
    assert {name: len(v.counts) for name, v in votes.items()} == data.counts()
    counts = votes["val"].for_labels(data.labels)
    assert counts[4].tolist() == [1, 0, 0, 4, 0, 0, 0]
    assert votes["train"].is_no_face().nonzero()[0].tolist() == [3]


def test_votes_of_other_rows_are_refused(data: FaceData, tmp_path: Path) -> None:
    for counts in ((42, 14, 13), (41, 14, 14)):
        with pytest.raises(DataError, match=r"its \d+ rows don't match"):
            read_votes(write_votes(tmp_path / "v.csv", counts), data)
    for vote in ("x", "-1", "", "nan", "1.5", "1e3", "\u0663", "9223372036854775808", "9" * 5000):
        with pytest.raises(DataError, match=r"line 2: not a row.*: the votes for anger"):
            read_votes(write_votes(tmp_path / "v.csv", happiness=vote), data)
    path = write_votes(tmp_path / "v.csv")
    header, row, *more = path.read_text().split("\n")
    for first, second, message in (
        (header, row.rpartition(",")[0], "line 2: .*the votes for NF are ''"),
        (header, row.replace("Training", "Holdout"), "line 2: .*the Usage is 'Holdout'"),
        (header, "Training,a" + ",0" * 10, "line 2: .*no votes"),
        (header.replace(",NF", ",fear"), row, "line 1: not FER"),
        (header + ",NF", row + ",0", "line 1: not FER"),
    ):
        path.write_text("\n".join([first, second, *more]))
        with pytest.raises(DataError, match=message):
            read_votes(path, data)
    for content in (b"\xff\xd8\xff\xe0", b"Usage\0,x", b""):
        (tmp_path / "v.csv").write_bytes(content)
        with pytest.raises(DataError, match="line "):
            read_votes(tmp_path / "v.csv", data)
    (tmp_path / "v.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="line 1: not FER"):
        read_votes(tmp_path / "v.csv", data)
