from __future__ import annotations

import resource
from pathlib import Path

import pytest
from PIL import Image

from fer_edge import Face, Recognizer, Result
from fer_edge.runtime.drawing.writer import ResultWriter, video_file
from fer_edge.runtime.inputs.video import read_frames
from tests.support.data import LABELS
from tests.support.videos import shaded_image, write_clip

FACE = Face((50, 50, 200, 200), 0.9, "happy", 0.9, dict.fromkeys(LABELS, 1 / 7))


def result(source: str) -> Result:
    return Result(source, 640, 480, (FACE,), Image.effect_noise((640, 480), 40))


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("photos/a.jpg", "a.jpg", "JPEG"),
        ("a.JPEG", "a.JPEG", "JPEG"),
        ("a.webp", "a.webp", "WEBP"),
        ("a.png", "a.png", "PNG"),
        ("a.gif", "a.png", "PNG"),  # its 256 colours would spoil the drawing
        ("a.tif", "a.png", "PNG"),
        ("bytes", "bytes.png", "PNG"),
    ],
)
def test_the_format_of_the_source_is_kept(
    source: str, name: str, kind: str, tmp_path: Path
) -> None:
    with ResultWriter(tmp_path) as writer:
        assert writer.add(result(source)) == tmp_path / name
        stem, suffix = name.split(".")
        assert writer.add(result(source)) == tmp_path / f"{stem}-2.{suffix}"
    with Image.open(tmp_path / name) as image:
        assert image.format == kind


def test_a_jpeg_is_smaller_than_the_png_of_it(tmp_path: Path) -> None:
    with ResultWriter(tmp_path) as writer:
        jpeg, png = writer.add(result("a.jpg")), writer.add(result("a.png"))
    assert jpeg is not None
    assert png is not None
    assert 2 * jpeg.stat().st_size < png.stat().st_size


def test_without_a_folder_nothing_is_written() -> None:
    with ResultWriter(None) as writer:
        assert writer.add(result("a.jpg")) is None


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at ten frames each."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mkv", 40)


def test_a_video_is_written_with_its_times(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    times = [0.0, 0.5, 0.6, 2.0]
    with video_file(path) as add:
        for i, seconds in enumerate(times):
            add(shaded_image(i).resize((65, 49)), seconds)
        assert not path.exists()
    found = list(read_frames(str(path)))
    assert [frame.time for frame in found] == pytest.approx(times, abs=1e-3)
    assert found[0].image.size == (64, 48)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_frames_before_an_error_are_saved(tmp_path: Path, clip: Path) -> None:
    recognizer = Recognizer.load(faces="whole")

    def interrupted() -> None:
        with ResultWriter(tmp_path / "out") as saved:
            for result in recognizer.stream(str(clip)):
                saved.add(result)
                if result.frame == 9:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (path,) = (tmp_path / "out").iterdir()
    assert len(list(read_frames(str(path)))) == 10


def test_two_videos_of_one_name_are_two_files(tmp_path: Path, clip: Path) -> None:
    with ResultWriter(tmp_path) as saved:
        for result in Recognizer.load(faces="whole").stream([clip, clip]):
            saved.add(result)
    lengths = [len(list(read_frames(str(tmp_path / name)))) for name in ("clip.mp4", "clip-2.mp4")]
    assert lengths == [40, 40]


def test_an_image_of_another_shape_is_not_squeezed(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with video_file(path) as add:
        add(Image.new("RGB", (64, 48), "white"), 0.0)
        add(Image.new("RGB", (24, 48), "white"), 0.1)
    first, second = (frame.image.convert("L") for frame in read_frames(str(path)))
    assert first.size == second.size == (64, 48)
    assert first.getextrema()[0] > 200
    assert [second.getpixel((x, 24)) > 128 for x in (5, 32, 58)] == [False, True, False]


@pytest.mark.parametrize(
    ("size", "written"), [((1, 1), (2, 2)), ((65, 49), (64, 48)), ((20_000, 64), (8000, 24))]
)
def test_a_video_of_any_size(
    size: tuple[int, int], written: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "out.mp4"
    with video_file(path) as add:
        add(Image.new("RGB", size, "white"), 0.0)
    assert [frame.image.size for frame in read_frames(str(path))] == [written]


def test_frames_of_one_time_are_one_video(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 48))
    with ResultWriter(tmp_path) as saved:
        for frame in (0, 1, 2, 0, 1):
            saved.add(Result("a.mp4", 64, 48, (), image, frame=frame, time=0.0))
    lengths = [len(list(read_frames(str(tmp_path / name)))) for name in ("a.mp4", "a-2.mp4")]
    assert lengths == [3, 2]


@pytest.mark.parametrize("name", ["12:30", "rtp:", "http:", "a%03d"])
def test_a_folder_may_be_named_like_an_address(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with video_file(Path(name) / "out.mp4") as add:
        add(Image.new("RGB", (64, 48)), 0.0)
    assert (tmp_path / name / "out.mp4").is_file()


def test_a_full_disk_names_the_video(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"

    def write() -> None:
        with video_file(path) as add:
            for i in range(60):
                add(Image.effect_noise((320, 240), 80).convert("RGB"), i / 10)

    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))  # Python ignores the signal
    try:
        with pytest.raises(OSError, match=r"out\.mp4'$") as raised:
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert raised.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []
