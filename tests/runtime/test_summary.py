from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_edge.render.faces import summary_text
from fer_edge.runtime.results import Face, Result, Track
from fer_edge.runtime.summary import DurationHistogram, Summary

IMAGE = Image.new("L", (9, 9))
SHARES = {"happy": 0.75, "sad": 0.25}
FACE = Face((0, 0, 9, 9), 1.0, "happy", 0.75, SHARES)


@given(st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=200), st.floats(0.01, 1))
def test_percentiles_are_right_to_two_per_cent(times: list[float], share: float) -> None:
    counted = DurationHistogram()
    for one in times:
        counted.add(one)
    exact = float(np.quantile(times, share, method="inverted_cdf"))
    assert counted.percentile(share) == pytest.approx(exact, rel=0.021)
    assert len(counted._bins) <= len(times)


def test_no_time_at_all() -> None:
    times = DurationHistogram()
    assert times.percentile(0.5) == 0
    times.add(0.0)
    assert times.percentile(0.5) == pytest.approx(1e-6, rel=0.03)


def test_images() -> None:
    summary = Summary()
    sad = replace(FACE, emotion="sad")
    for faces in ((FACE, sad), (), (FACE, FACE)):
        summary.add(Result("a.png", 9, 9, faces, IMAGE, seconds=0.010))
    summary.failed = 2
    first, second, third = summary_text(summary).splitlines()
    assert first.startswith("3 images in ")
    assert "per image 10.0 ms (median), 10.0 ms (95th percentile)" in first
    assert second == "4 faces: happy 75%, sad 25%"
    assert third == "2 could not be read"


def test_tracks_are_counted_over_videos() -> None:
    """By the smoothed expression; track numbers start again with each video, even the same one."""
    summary = Summary()
    for source, frame, numbers in (
        ("a.mp4", 0, (1, 2)), ("a.mp4", 1, (2, 3)), ("a.mp4", 2, (3,)),
        ("b.mp4", 4, (1,)), ("b.mp4", 5, ()), ("b.mp4", 0, (1,)),
    ):  # fmt: skip
        faces = tuple(replace(FACE, track=Track(n, "sad", 0.5, SHARES)) for n in numbers)
        summary.add(Result(source, 9, 9, faces, IMAGE, frame, frame / 10))
    assert summary.tracked == 5
    text = summary_text(summary)
    assert text.startswith("6 frames in ")
    assert text.endswith("7 faces, 5 tracks: sad 100%")


def test_nothing() -> None:
    assert "0 images" in summary_text(Summary())
    assert "0 faces" in summary_text(Summary())
