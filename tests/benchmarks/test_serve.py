from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from benchmarks.serve import LOAD_COLUMNS, Load, count_down, make_images, send, serving

from fer_edge import Recognizer


def test_a_row_compares_the_cost_of_a_request_with_that_of_a_call() -> None:
    load = Load([0.1] * 90, refused=10, elapsed=9.0, cpu=2.0)
    row = load.row("photograph", 8, call=0.016)
    assert len(row) == len(LOAD_COLUMNS)
    assert row[:3] == ["photograph", 8, "10"]
    assert row[6:] == ["20.00", "16.00", "25%", 10]


def test_clients_share_a_number_of_requests() -> None:
    has_more = count_down(1000)
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda _: sum(iter(has_more, False)), range(8))
    assert sum(done) == 1000


def test_the_images_are_read() -> None:
    recognizer = Recognizer.load(faces="whole")
    sizes = [(one.width, one.height) for one in map(recognizer, make_images().values())]
    assert sizes == [(640, 480), (48, 48)]


def test_a_real_server_is_measured() -> None:
    pytest.importorskip("uvicorn", reason="the extra serve isn't installed")
    with serving() as process:
        load = send(process, make_images()["cropped face"], 2, count_down(6))
        assert len(load.seconds) == 6
        assert process.resident_mb() > 20
        assert process.cpu_seconds() > 0
