from __future__ import annotations

import numpy as np

from fer_edge.train.detector.patterns import draw_pattern


def test_patterns_depend_on_the_generator_alone() -> None:
    one, same, other = (
        draw_pattern(np.random.default_rng(seed), width=90, height=70) for seed in (1, 1, 2)
    )
    assert one.shape == (70, 90)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_some_are_bright_and_some_are_dark_on_their_ground() -> None:
    random = np.random.default_rng(0)
    seen = np.stack([draw_pattern(random, 64, 64) for _ in range(100)]).astype(float)
    ground = np.median(seen, (1, 2), keepdims=True)
    brighter, darker = (seen - ground > 30).any((1, 2)), (ground - seen > 30).any((1, 2))
    assert (brighter & ~darker).sum() > 10
    assert (darker & ~brighter).sum() > 10
