from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from fer_edge import Recognizer, Result
from fer_edge.errors import MissingExtraError, SourceError
from fer_edge.runtime import pipeline
from fer_edge.runtime.detection.nearby import NEARBY
from fer_edge.runtime.inputs import image_decoding
from fer_edge.runtime.inputs.images import ImageSource
from fer_edge.runtime.inputs.limits import MemoryBudget
from fer_edge.runtime.pipeline import PreparedImage
from tests.support.data import draw_face
from tests.support.files import EXAMPLE
from tests.support.videos import write_clip


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(faces="whole")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """99 faces, and one file without an image."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(100):
        Image.fromarray(draw_face(i % 7, i)).save(folder / f"{i:03}.png")
    (folder / "050.png").write_bytes(b"no image")
    return folder


def test_a_folder_gives_the_results_of_its_images(recognizer: Recognizer, folder: Path) -> None:
    errors: list[SourceError] = []
    results = list(recognizer.stream(folder, on_error=errors.append))
    assert [Path(r.source).name for r in results] == [f"{i:03}.png" for i in range(100) if i != 50]
    assert [str(e) for e in errors] == [f"{folder / '050.png'}: not an image"]
    assert results == [recognizer(r.source) for r in results]
    assert all(isinstance(r.image_source, Path) for r in results)
    assert results[3].image.size == (48, 48)
    assert all(r.seconds > 0 for r in results)


def test_an_error_is_raised_in_its_place(recognizer: Recognizer, folder: Path) -> None:
    results = recognizer.stream(folder)
    seen = [Path(next(results).source).name for _ in range(50)]
    with pytest.raises(SourceError, match=r"050\.png"):
        next(results)
    assert seen == [f"{i:03}.png" for i in range(50)]


def test_sources_of_every_kind_one_after_the_other(
    recognizer: Recognizer, folder: Path, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 5)
    face = draw_face(1, 1)
    sources = [folder / "001.png", clip, face, Image.fromarray(face), str(folder / "002.png")]
    found = [(Path(r.source).name, r.frame) for r in recognizer.stream(sources)]
    assert found == [
        ("001.png", None),
        *(("clip.mkv", i) for i in range(5)),
        *(("array", None), ("image", None), ("002.png", None)),
    ]
    skipped = [str(clip), str(folder / "002.png")]
    left = [r.source for r in recognizer.stream(sources, skip=skipped)]
    assert left == [str(folder / "001.png"), "array", "image"]
    assert list(recognizer.stream(folder / "002.png", skip=skipped)) == []
    assert [r.source for r in recognizer.stream([face])] == ["array"]


def test_pending_images_are_limited(recognizer: Recognizer) -> None:
    """A million images take no more memory than a hundred."""
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            read += 1
            yield draw_face(read % 7, 0)

    results = recognizer.stream(endless())
    for given in range(1, 300):
        next(results)
        assert read <= given + pipeline.MAX_IN_MEMORY + 1  # one more waits for its turn
    results.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


class Counting:
    """A recognizer that counts; its first batch waits until 50 images are prepared."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.read_video = recognizer.read_video
        self.recognizer = recognizer
        self.batches: list[int] = []
        self.prepared = threading.Semaphore(0)

    def prepare(self, source: ImageSource) -> PreparedImage:
        try:
            return self.recognizer.prepare(source)
        finally:
            self.prepared.release()

    def predict(self, images: Sequence[PreparedImage]) -> list[Result]:
        self.batches.append(len(images))
        if len(self.batches) == 1:
            assert all(self.prepared.acquire(timeout=30) for _ in range(50))
        return self.recognizer.predict(images)


def test_images_that_are_ready_together_are_one_batch(recognizer: Recognizer, folder: Path) -> None:
    reader = Counting(recognizer)
    counted = cast(Recognizer, reader)
    found = list(
        pipeline.read_all(
            counted, [folder], cut=pipeline.Cut(), tracker=None, nearby=NEARBY, skip=()
        )
    )
    assert [isinstance(one, SourceError) for one in found] == [i == 50 for i in range(100)]
    assert sum(reader.batches) == 99
    assert max(reader.batches) == pipeline.BATCH_FACES


def test_one_image_starts_no_thread(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor", None)
    (result,) = recognizer.stream(EXAMPLE)
    assert result == recognizer(EXAMPLE)


def test_videos_in_a_folder(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(draw_face(1, 1)).save(tmp_path / "a.png")
    write_clip(tmp_path / "b.mkv", 3)
    assert [r.frame for r in recognizer.stream(tmp_path)] == [None, 0, 1, 2]
    monkeypatch.setitem(sys.modules, "av", None)
    errors: list[SourceError] = []
    results = list(recognizer.stream(tmp_path, on_error=errors.append))
    assert [Path(r.source).name for r in results] == ["a.png"]
    assert "b.mkv: av is not installed: pip install 'fer-edge[video]'" in str(errors[0])
    with pytest.raises(MissingExtraError):
        list(recognizer.stream(tmp_path / "b.mkv", on_error=errors.append))


def test_an_empty_list_is_an_error(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("\n\n")
    with (tmp_path / "list").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(SourceError, match="standard input is empty"):
            list(recognizer.stream("-"))


def test_an_array_may_be_filled_again(recognizer: Recognizer) -> None:
    """As a camera's buffer is."""
    buffer = np.empty((48, 48), np.uint8)

    def filled() -> Iterator[np.ndarray]:
        for i in range(40):
            buffer[:] = draw_face(i % 7, i)
            yield buffer

    found = [result.faces[0].probabilities for result in recognizer.stream(filled())]
    assert found == [recognizer(draw_face(i % 7, i)).faces[0].probabilities for i in range(40)]


def test_patterns_of_videos(recognizer: Recognizer, tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        write_clip(tmp_path / name, 2)
    (tmp_path / "c.mov").mkdir()
    Image.fromarray(draw_face(1, 1)).save(tmp_path / "c.mov" / "d.png")
    for pattern in ("*.mkv", "[ab]*"):
        found = [Path(r.source).name for r in recognizer.stream(f"{tmp_path}/{pattern}")]
        assert found == ["a.mkv"] * 2 + ["b.mkv"] * 2
    assert [Path(r.source).name for r in recognizer.stream(tmp_path / "c.mov")] == ["d.png"]
    (error,) = pipeline.read_all(
        recognizer, ["7" * 300], cut=pipeline.Cut(), tracker=None, nearby=NEARBY, skip=()
    )
    assert "File name too long" in str(error)


def test_large_images_are_read_one_at_a_time(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 500), np.uint8)
    for i in range(8):
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(image_decoding, "DECODING", MemoryBudget(1000))
    under_way, most = 0, 0
    crop = recognizer._crop

    def counted(*arguments: Any) -> PreparedImage:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.01)
        done = crop(*arguments)
        under_way -= 1
        return done

    monkeypatch.setattr(recognizer, "_crop", counted)
    assert len(list(recognizer.stream(tmp_path))) == 8
    assert most == 1


def test_an_image_on_standard_input(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EXAMPLE.open("rb") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        (result,) = recognizer.stream("-")
    assert (result.source, result.faces) == ("stdin", recognizer(EXAMPLE).faces)
    assert result.image.size == (result.width, result.height)
