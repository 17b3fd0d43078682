from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fer_edge.train.augment import augment
from fer_edge.train.config import Augmentation
from tests.support.data import draw_face

NOTHING = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
FACES = torch.stack([torch.from_numpy(draw_face(i, i)) for i in range(7)])


def test_nothing_changes_nothing() -> None:
    assert torch.allclose(augment(FACES, NOTHING)[:, 0], FACES.float(), atol=1e-3)


def test_a_sure_flip_mirrors() -> None:
    mirrored = augment(FACES, replace(NOTHING, flip=1.0))[:, 0]
    assert torch.allclose(mirrored, FACES.flip(-1).float(), atol=1e-3)


def test_each_face_has_draws_of_its_own_and_a_seed_fixes_them() -> None:
    same = FACES[:1].repeat(5, 1, 1)
    torch.manual_seed(1)
    first = augment(same, Augmentation())
    torch.manual_seed(1)
    assert torch.equal(first, augment(same, Augmentation()))
    assert all(not torch.equal(first[0], other) for other in first[1:])


def test_the_range_and_shape_stay() -> None:
    pixels = augment(FACES, Augmentation(brightness=1, contrast=1))
    assert pixels.shape == (7, 1, 48, 48)
    assert pixels.dtype == torch.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_erasing_fills_a_rectangle_with_the_mean() -> None:
    torch.manual_seed(0)
    changed = augment(FACES, replace(NOTHING, erase=1.0, erase_area=0.5))[:, 0]
    different = (changed - FACES.float()).abs() > 1e-3
    assert different.any((1, 2)).sum() >= 5
    for face, mask, before in zip(changed, different, FACES.float(), strict=True):
        assert torch.allclose(face[mask], before.mean(), atol=0.5)


@pytest.mark.parametrize("setting", [{"flip": 2.0}, {"rotation": 200.0}, {"erase": -0.1}])
def test_out_of_range(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be in"):
        Augmentation(**setting)
