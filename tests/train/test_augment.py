from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fer_edge.train.augment import DRAWS, augment, draw_view
from fer_edge.train.ranges import Augmentation
from tests.support.data import draw_face

NOTHING = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
FACES = torch.stack([torch.from_numpy(draw_face(i, i)) for i in range(7)])


def change(faces: torch.Tensor, ranges: Augmentation, seed: int = 1) -> torch.Tensor:
    return augment(faces, ranges, draw_view(0, seed, len(faces)))


def test_nothing_changes_nothing() -> None:
    assert torch.allclose(change(FACES, NOTHING)[:, 0], FACES.float(), atol=1e-3)


def test_a_sure_flip_mirrors() -> None:
    mirrored = change(FACES, replace(NOTHING, flip=1.0))[:, 0]
    assert torch.allclose(mirrored, FACES.flip(-1).float(), atol=1e-3)


def test_each_face_has_draws_of_its_own_and_the_same_draws_give_the_same_view() -> None:
    same = FACES[:1].repeat(5, 1, 1)
    first = change(same, Augmentation())
    assert torch.equal(first, change(same, Augmentation()))
    assert all(not torch.equal(first[0], other) for other in first[1:])
    part = augment(same[2:4], Augmentation(), draw_view(0, 1, 5)[2:4])
    assert torch.allclose(part, first[2:4], atol=1e-4)


def test_views_and_seeds_have_draws_of_their_own_and_leave_the_generator() -> None:
    state = torch.get_rng_state()
    draws = [draw_view(view, seed, 4) for view in (0, 1) for seed in (0, 1)]
    assert torch.equal(state, torch.get_rng_state())
    assert all(one.shape == (4, DRAWS) for one in draws)
    assert all(one.min() >= 0 and one.max() < 1 for one in draws)
    assert len({tuple(one.flatten().tolist()) for one in draws}) == 4


def test_halved_ranges_move_half_as_far() -> None:
    far = Augmentation(0, 0, 0.2, 0.5, 0, 0, 0, 0)
    assert far.halve() == Augmentation(0, 0, 0.1, 0.5, 0, 0, 0, 0)


def test_the_range_and_shape_stay() -> None:
    pixels = change(FACES, Augmentation(brightness=1, contrast=1))
    assert pixels.shape == (7, 1, 48, 48)
    assert pixels.dtype == torch.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_erasing_fills_a_rectangle_with_the_mean() -> None:
    changed = change(FACES, replace(NOTHING, erase=1.0, erase_area=0.5))[:, 0]
    different = (changed - FACES.float()).abs() > 1e-3
    assert different.any((1, 2)).sum() >= 5
    for face, mask, before in zip(changed, different, FACES.float(), strict=True):
        assert torch.allclose(face[mask], before.mean(), atol=0.5)


@pytest.mark.parametrize("setting", [{"flip": 2.0}, {"rotation": 200.0}, {"erase": -0.1}])
def test_out_of_range(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be in"):
        Augmentation(**setting)


def test_mixed_precision_augments_in_float32() -> None:
    expected = change(FACES, Augmentation())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(change(FACES, Augmentation()), expected)
