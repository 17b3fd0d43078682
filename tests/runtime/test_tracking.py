from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import Face, Track
from fer_edge.runtime.tracking import Tracker

SMALL = st.integers(1, 40)
PLACE = st.integers(-20, 60)
BOXES = st.tuples(PLACE, PLACE, SMALL, SMALL)


def face(box: Box, happy: float = 0.8) -> Face:
    emotion = "happy" if happy >= 0.5 else "sad"
    return Face(box, 0.9, emotion, max(happy, 1 - happy), {"happy": happy, "sad": 1 - happy})


def tracks(faces: tuple[Face, ...]) -> list[Track]:
    found = [one.track for one in faces]
    assert all(found)
    return [one for one in found if one]


def test_numbers_stay_with_faces_that_move_and_swap_places_in_the_list() -> None:
    tracker = Tracker()
    left, right = (0, 0, 20, 20), (100, 0, 20, 20)
    assert [t.number for t in tracks(tracker([face(left), face(right)], 0.0))] == [1, 2]
    moved = [face((104, 2, 20, 20)), face((3, 1, 20, 20))]
    assert [t.number for t in tracks(tracker(moved, 0.1))] == [2, 1]
    assert tracker([], 0.2) == ()
    assert [t.number for t in tracks(tracker([face((300, 0, 20, 20)), face(right)], 0.3))] == [3, 2]


def numbers(tracker: Tracker, seen: list[tuple[float, int]]) -> list[int]:
    """Numbers of a face that is or isn't there at some times."""
    found = []
    for time, is_there in seen:
        found += tracks(tracker([face((0, 0, 20, 20))] if is_there else [], time))
    return [one.number for one in found]


def test_a_track_ends_after_max_age_where_frames_are_close_together() -> None:
    seen = [(i / 10, i in (0, 10, 21, 22)) for i in range(23)]
    assert numbers(Tracker(max_age=1.0), seen) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("max_missed", "expected"),
    [(1, [1, 2, 3, 4, 4]), (2, [1, 1, 2, 3, 3]), (3, [1, 1, 1, 2, 2]), (4, [1] * 5)],
)
def test_it_ends_after_max_missed_frames_where_they_are_far_apart(
    max_missed: int, expected: list[int]
) -> None:
    """It is there, missing once, there, missing twice, there, missing three times, there, there."""
    seen = [(1.2 * i, is_there) for i, is_there in enumerate([1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1])]
    assert numbers(Tracker(max_missed=max_missed), seen) == expected


def test_all_tracks_end_at_a_cut() -> None:
    tracker = Tracker()
    box = (0, 0, 20, 20)
    for i in range(3):
        tracker([face(box, 1.0)], i / 10)
    tracker.end_tracks()
    (track,) = tracks(tracker([face(box, 0.0)], 0.3))
    assert (track.number, track.emotion, track.confidence) == (2, "sad", 1.0)


@pytest.mark.parametrize("interval", [0.9, 1.2, 12.0, 600.0])
def test_a_face_in_every_frame_keeps_its_track_however_far_apart_they_are(interval: float) -> None:
    tracker = Tracker()
    box = (0, 0, 20, 20)
    seen = [tracks(tracker([face(box)], i * interval))[0].number for i in range(5)]
    assert seen == [1] * 5
    for i in (5, 6):
        assert tracker([], i * interval) == ()
    (again,) = tracks(tracker([face(box)], 7 * interval + 1))
    assert again.number == 2


@pytest.mark.parametrize("rate", [5, 30])
def test_smoothing_takes_the_same_seconds_at_any_frame_rate(rate: int) -> None:
    tracker = Tracker(time_constant=0.5)
    box = (0, 0, 20, 20)
    tracker([face(box, 1.0)], 0.0)
    for i in range(1, rate + 1):
        (one,) = tracks(tracker([face(box, 0.0)], i / rate))
    assert one.probabilities["happy"] == pytest.approx(math.exp(-1 / 0.5))
    assert sum(one.probabilities.values()) == pytest.approx(1)


def test_a_face_keeps_its_raw_probabilities() -> None:
    tracker = Tracker()
    tracker([face((0, 0, 9, 9), 1.0)], 0.0)
    (one,) = tracker([face((0, 0, 9, 9), 0.1)], 0.1)
    assert one.emotion == "sad"
    assert one.probabilities["happy"] == 0.1
    assert one.track is not None
    assert one.track.emotion == "happy"
    assert one.track.confidence == one.track.probabilities["happy"] > 0.7
    assert one.to_dict()["track"]["number"] == 1


def test_a_label_is_shown_after_it_has_led_for_the_hold() -> None:
    tracker = Tracker(time_constant=0.0, hold=0.25)
    box = (0, 0, 9, 9)
    shown = []
    for i, happy in enumerate([1, 0, 1, 0, 0, 0, 0]):  # a flicker, then a change
        shown.append(tracks(tracker([face(box, float(happy))], i / 10))[0].emotion)
    assert shown == ["happy"] * 6 + ["sad"]


def test_a_track_below_min_confidence_is_uncertain() -> None:
    tracker = Tracker(min_confidence=0.7)
    box = (0, 0, 9, 9)
    shown = [tracks(tracker([face(box, p)], i / 2))[0].emotion for i, p in enumerate([0.6, 1, 1])]
    assert shown == ["uncertain", "happy", "happy"]


@given(st.lists(st.lists(BOXES, max_size=6), max_size=6))
def test_no_two_faces_of_a_frame_share_a_number(frames: list[list[Box]]) -> None:
    tracker = Tracker()
    for i, boxes in enumerate(frames):
        numbers = [t.number for t in tracks(tracker([face(box) for box in boxes], i / 10))]
        assert len(set(numbers)) == len(boxes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_constant", -1.0),
        ("hold", -0.1),
        ("max_age", math.nan),
        ("max_missed", 0),
        ("iou_threshold", 0.0),
        ("iou_threshold", 1.5),
        ("min_confidence", 2.0),
    ],
)
def test_an_argument_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be .*, not {value}$"):
        Tracker(**{name: value})


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=30))
def test_whatever_the_times_probabilities_stay_probabilities(
    seen: list[tuple[float, float]],
) -> None:
    """Recordings that are joined, or one tracker for several videos: time may jump back."""
    tracker = Tracker()
    for time, happy in seen:
        (track,) = tracks(tracker([face((0, 0, 20, 20), happy)], time))
        assert all(-1e-9 <= share <= 1 + 1e-9 for share in track.probabilities.values())
        assert math.isclose(sum(track.probabilities.values()), 1)


def test_time_that_jumps_back_is_another_video() -> None:
    tracker = Tracker()
    numbers = [tracks(tracker([face((0, 0, 20, 20))], t))[0].number for t in (0.0, 0.1, 0.0, 0.1)]
    assert numbers == [1, 1, 2, 2]
