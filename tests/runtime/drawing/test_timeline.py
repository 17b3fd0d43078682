from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from fer_edge import Face, Result
from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing import timeline_chart as chart
from fer_edge.runtime.drawing.colours import EMPTY, PALETTE, UNCERTAIN_COLOUR
from fer_edge.runtime.drawing.timeline import MAX_FACES, Timeline, check_plot_path
from fer_edge.runtime.drawing.timeline_bins import BINS, MIN_BIN_WIDTH
from fer_edge.runtime.results import UNCERTAIN, Track
from tests.support.data import LABELS

HAPPY, SAD, NEUTRAL = (LABELS.index(one) for one in ("happy", "sad", "neutral"))
IMAGE = Image.new("RGB", (8, 8))


def a_face(number: int, label: int, shown: str = "") -> Face:
    shares = {one: 0.88 if i == label else 0.02 for i, one in enumerate(LABELS)}
    raw = dict.fromkeys(LABELS, 1 / 7)  # the chart shows the smoothed ones
    track = Track(number, shown or LABELS[label], 0.88, shares)
    return Face((0, 0, 8, 8), 0.9, LABELS[0], 1 / 7, raw, track)


def frame(time: float, *faces: Face, source: str = "clips/two.mp4") -> Result:
    return Result(source, 8, 8, faces, IMAGE, round(time * 10), time)


def two_people() -> Timeline:
    """40 s: face 1 is happy, from 20 s on sad; face 2 is there from 10 to 30 s, neutral."""
    timeline = Timeline()
    for i in range(400):
        time = i / 10
        faces = [a_face(1, HAPPY if time < 20 else SAD)]
        faces += [a_face(2, NEUTRAL)] if 10 <= time < 30 else []
        timeline.add(frame(time, *faces))
    return timeline


def colour(image: Image.Image, seconds: float, y: int, length: float = 40.0) -> object:
    x = chart.LEFT + (chart.RIGHT - chart.LEFT) * seconds / length
    return image.getpixel((int(x), y))


def tops(image: Image.Image) -> list[int]:
    """Where the strips of the rows begin."""
    column = np.asarray(image)[:, chart.RIGHT - 1]
    ground = np.array(ImageColor.getrgb("#16191d"))
    drawn = (column != ground).any(1)
    starts = np.flatnonzero(drawn[1:] & ~drawn[:-1]) + 1
    return [int(y) for y in starts if drawn[y : y + chart.STRIP].all() and y > 140][::2]


def test_two_people_over_time() -> None:
    image = two_people().plot()
    assert image.mode == "RGB"
    assert image.size[0] == chart.WIDTH
    assert image.size[1] <= chart.MAX_HEIGHT
    rgb = [ImageColor.getrgb(one) for one in PALETTE]
    empty = ImageColor.getrgb(EMPTY)
    first, second = tops(image)
    for seconds, one, two in (
        (5, rgb[HAPPY], empty),
        (15, rgb[HAPPY], rgb[NEUTRAL]),
        (25, rgb[SAD], rgb[NEUTRAL]),
        (35, rgb[SAD], empty),
    ):
        # between the lines of the axis, near the strip's edge, where there is no text
        assert colour(image, seconds + 0.4, first + 1) == one
        assert colour(image, seconds + 0.4, second + 1) == two
        # the areas, in the middle of their height
        assert colour(image, seconds + 0.4, first + chart.STRIP + 100) == one
        assert colour(image, seconds + 0.4, second + chart.STRIP + 100) == two


def test_probabilities_are_the_smoothed_ones() -> None:
    timeline = two_people()
    (number, seen), (other, shorter) = timeline.data().rows
    assert (number, other) == (1, 2)
    assert seen.seconds == pytest.approx(40)
    assert shorter.seconds == pytest.approx(20)
    here, shares, shown = timeline.data().columns(seen, chart.RIGHT - chart.LEFT)
    assert here.all()
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-9)
    assert shares[100, HAPPY] == pytest.approx(0.88)
    assert shown[[100, -100]].tolist() == [HAPPY, SAD]
    here, _, _ = timeline.data().columns(shorter, chart.RIGHT - chart.LEFT)
    assert here.mean() == pytest.approx(0.5, abs=0.01)


def test_uncertain_has_a_colour_of_its_own() -> None:
    timeline = Timeline()
    for i in range(50):
        timeline.add(frame(i / 10, a_face(1, HAPPY, UNCERTAIN)))
    image = timeline.plot()
    first = tops(image)[0]
    assert colour(image, 0.7, first + 1, 5.0) == ImageColor.getrgb(UNCERTAIN_COLOUR)
    assert colour(image, 0.7, first + chart.STRIP + 100, 5.0) == ImageColor.getrgb(PALETTE[HAPPY])


def test_a_day_in_flat_memory() -> None:
    timeline = Timeline()
    for i in range(24 * 60 * 6):
        timeline.add(frame(10.0 * i, *[a_face(1 + i // 4, i % 7)] * (i % 4 < 3)))
    rows = timeline.data().rows
    assert timeline.end == 24 * 3600
    assert timeline.bin_width == 60
    assert len(timeline._faces) <= MAX_FACES
    assert all(seen.sums.shape == (BINS, 2 * 7 + 2) for _, seen in rows)
    assert len(rows) == 7
    assert timeline.face_count == 24 * 60 * 6 // 4
    assert sum(seen.seconds for _, seen in rows) == pytest.approx(24 * 3600 * 3 / 4)
    assert sum(seen.count for _, seen in rows) == timeline.face_count
    assert timeline.plot().size[1] <= chart.MAX_HEIGHT


def test_faces_seen_longest_are_kept_among_thousands_of_short_ones() -> None:
    timeline = Timeline()
    number, long = 1, {}
    for i in range(6000):
        if i % 1000 == 0:
            long[number] = True
            stays, number = number, number + 1
        faces = [a_face(stays, SAD)] if i % 1000 < 500 else []
        faces.append(a_face(number, HAPPY))
        number += 1
        timeline.add(frame(i / 10, *faces))
    assert len(timeline._faces) <= MAX_FACES
    rows = timeline.data().rows
    assert [one for one, _ in rows] == [*long, 0]
    assert rows[-1][1].count == 6000
    assert timeline.face_count == 6006


def test_a_crowd_larger_than_max_faces() -> None:
    timeline = Timeline()
    faces = [a_face(1 + k, k % 7) for k in range(MAX_FACES + 10)]
    for i in range(20):
        timeline.add(frame(i / 10, *faces))
    rows = timeline.data().rows
    assert len(timeline._faces) == MAX_FACES
    assert timeline.face_count == MAX_FACES + 10
    assert rows[-1][1].count == MAX_FACES + 10 - 6
    assert sum(seen.seconds for _, seen in rows) == pytest.approx(2 * (MAX_FACES + 10))


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 1e6),
    st.lists(
        st.tuples(st.floats(0, 3000) | st.floats(0, 0.2), st.sets(st.integers(1, 3))), max_size=30
    ),
)
def test_the_seconds_seen_are_exact(start: float, steps: list[tuple[float, set[int]]]) -> None:
    timeline = Timeline()
    time, seen = start, {1: 0.0, 2: 0.0, 3: 0.0}
    for step, present in steps:
        timeline.add(frame(time, *(a_face(one, one) for one in present)))
        later = time + step
        for one in present:
            seen[one] += later - time
        time = later
    timeline.add(frame(time))
    got = dict(timeline.data().rows)
    for one, seconds in seen.items():
        assert (got[one].seconds if one in got else 0.0) == pytest.approx(seconds, abs=1e-6)
    for one in got.values():
        assert one.sums[:, 1:8].sum() == pytest.approx(one.seconds, abs=1e-6)
        assert one.sums[:, 8:].sum() == pytest.approx(one.seconds, abs=1e-6)
    assert timeline.end - timeline.start <= BINS * timeline.bin_width
    assert timeline.bin_width >= MIN_BIN_WIDTH


def test_plotting_in_between_counts_nothing_twice() -> None:
    timeline = Timeline()
    for i in range(100):
        timeline.add(frame(i / 10, a_face(1, HAPPY)))
        assert timeline.data().rows[0][1].seconds == pytest.approx(timeline.end)
    timeline.plot()
    timeline.plot()
    assert timeline.data().rows[0][1].seconds == pytest.approx(10)


def test_charts_without_faces_or_frames() -> None:
    empty = Timeline().plot()
    timeline = Timeline()
    timeline.add(frame(0))
    timeline.add(frame(5))
    without = timeline.plot()
    assert empty.size == without.size
    assert empty.tobytes() != without.tobytes()
    assert len(np.unique(np.asarray(without).reshape(-1, 3), axis=0)) > 2


def test_a_single_frame_and_faces_without_tracks() -> None:
    timeline = Timeline()
    face = Face((0, 0, 8, 8), 0.9, "happy", 0.5, dict.fromkeys(LABELS, 1 / 7))
    timeline.add(frame(3.0, face, face))
    assert timeline.plot().size[0] == chart.WIDTH
    assert [number for number, _ in timeline.data().rows] == [1, 2]


def test_images_and_a_second_video_are_refused() -> None:
    timeline = Timeline()
    with pytest.raises(ConfigError, match="give a video"):
        timeline.add(Result("a.png", 8, 8, (), IMAGE))
    timeline.add(frame(0))
    with pytest.raises(ConfigError, match=r"other\.mp4: this timeline is of clips/two\.mp4"):
        timeline.add(frame(1, source="other.mp4"))


def test_save(tmp_path: Path) -> None:
    path = two_people().save(tmp_path / "deep" / "timeline.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
    assert [one.name for one in path.parent.iterdir()] == ["timeline.png"]


def test_paths_that_cannot_be_written_are_refused_early(tmp_path: Path) -> None:
    check_plot_path(tmp_path / "a.png")
    check_plot_path(tmp_path / "a.JPG")
    for path in (tmp_path, tmp_path / "a.mp4", tmp_path / "a"):
        with pytest.raises(ConfigError, match=r"end it in \.png"):
            check_plot_path(path)


@pytest.mark.parametrize(
    ("seconds", "longest", "decimals", "text"),
    [
        (7, 50, 0, "7 s"),
        (0.5, 2, 1, "0.5 s"),
        (7, 70, 0, "0:07"),
        (839.8, 839.8, 0, "14:00"),
        (3599.9, 3599.9, 0, "1:00:00"),
        (61.5, 62, 1, "1:01.5"),
        (90_000, 90_000, 0, "25:00:00"),
    ],
)
def test_format_time(seconds: float, longest: float, decimals: int, text: str) -> None:
    assert chart.format_time(seconds, longest=longest, decimals=decimals) == text


@given(st.floats(0, 1e6), st.floats(0.05, 1e6))
def test_ticks_are_few_and_inside(start: float, length: float) -> None:
    times, step = chart.ticks(start, start + length)
    assert len(times) <= 14
    assert all(start - 1e-6 * step <= time <= start + length + 1e-6 * step for time in times)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("clips/two.mp4", "two.mp4"),
        ("0", "camera 0"),
        ("rtsp://user:secret@10.0.0.7/hall", "10.0.0.7/hall"),
    ],
)
def test_titles_hide_passwords(source: str, name: str) -> None:
    assert chart.title_of(source) == name
