from __future__ import annotations

import threading

import pytest

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.limits import MemoryBudget, check_pixels, choose_reduction


def test_a_refused_image_is_named_with_its_size_and_the_option() -> None:
    check_pixels("a.png", 1000, 1000, 1_000_000)
    with pytest.raises(SourceError, match=r"^a\.png: 2000 x 1000 px are 2\.0 .* 1: .*--max-pixels"):
        check_pixels("a.png", 2000, 1000, 1_000_000)


@pytest.mark.parametrize(
    ("size", "factor"),
    [((5000, 5000), 1), ((5001, 5000), 2), ((8192, 6144), 2), ((16_320, 12_240), 4)],
)
def test_the_reduction_of_large_images(size: tuple[int, int], factor: int) -> None:
    assert choose_reduction(*size) == factor


def test_what_does_not_fit_beside_others_waits_for_them() -> None:
    budget = MemoryBudget(10)
    order = []
    is_waiting = threading.Event()

    def take() -> None:
        is_waiting.set()
        with budget.reserve(20):
            order.append("large")

    with budget.reserve(6):
        with budget.reserve(4):
            thread = threading.Thread(target=take)
            thread.start()
            is_waiting.wait()
        order.append("small")
    thread.join()
    assert order == ["small", "large"]


def test_a_thread_does_not_wait_for_itself() -> None:
    budget = MemoryBudget(10)
    with budget.reserve(8), budget.reserve(8):
        pass
