from __future__ import annotations

from dataclasses import asdict, replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from fer_edge.train import corrupt as corruption
from fer_edge.train.corrupt import corrupt
from fer_edge.train.ranges import Corruption
from tests.support.data import draw_face

NOTHING = Corruption(
    fraction=1,
    gamma=1,
    min_brightness=1,
    shade=0,
    blur=0,
    motion=0,
    min_side=1,
    noise=0,
    quality=90,
)
FACES = torch.stack([torch.from_numpy(draw_face(i % 7, i)) for i in range(40)])[:, None].float()


@pytest.fixture(autouse=True)
def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind meets every face, and JPEG none."""
    torch.manual_seed(0)
    monkeypatch.setattr(corruption, "_PART", 1.0)
    monkeypatch.setattr(corruption, "_compress", lambda faces, _: faces)


def sharpness(pixels: torch.Tensor) -> float:
    return float((pixels[..., 1:] - pixels[..., :-1]).square().mean())


def test_nothing_changes_nothing() -> None:
    assert torch.allclose(corrupt(FACES, NOTHING), FACES, atol=0.01)
    assert corrupt(FACES, replace(Corruption(), fraction=0)) is FACES


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("gamma", 3),
        ("min_brightness", 0.2),
        ("shade", 0.9),
        ("blur", 3),
        ("motion", 7),
        ("min_side", 0.2),
    ],
)
def test_each_kind_differs_from_face_to_face(setting: str, value: float) -> None:
    changed = corrupt(FACES, replace(NOTHING, **{setting: value}))
    assert changed.min() >= 0
    assert changed.max() <= 255
    difference = (changed - FACES).abs().mean((1, 2, 3))
    assert (difference > 0.1).sum() >= 30
    assert difference.std() > 0.1


def test_the_fraction_of_faces() -> None:
    changed = corrupt(FACES, Corruption(fraction=0.25))
    same = (changed == FACES).all(3).all(2).all(1).sum()
    assert 22 <= same <= 38


def test_noise_has_the_standard_deviation_that_was_drawn() -> None:
    flat = torch.full((400, 1, 48, 48), 127.5)
    noise = corrupt(flat, replace(NOTHING, noise=20)).std((1, 2, 3))
    assert 0 <= noise.min() < 1
    assert 17 < noise.max() < 20.5
    # sigma is 20 u^1.5 with u uniform: its mean is 20 / 2.5
    assert noise.mean() == pytest.approx(8, abs=0.8)


def test_blur_is_a_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corruption, "_draw", lambda faces, **_: torch.ones(len(faces)))
    blurred = corruption._blur(FACES[:, 0], replace(NOTHING, blur=1.5))
    for face, ours in zip(FACES[:3, 0].numpy(), blurred[:3].numpy(), strict=True):
        image = Image.fromarray(face.astype(np.uint8))
        # Pillow's is three box blurs, near a Gaussian
        theirs = np.asarray(image.filter(ImageFilter.GaussianBlur(1.5)), np.float32)
        assert np.abs(ours - theirs).mean() < 1.5


def test_scaling_is_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corruption, "_draw", lambda faces, **_: torch.ones(len(faces)))
    scaled = corruption._scale_and_sense(FACES[:, 0], replace(NOTHING, min_side=0.5))
    for face, ours in zip(FACES[:3, 0].numpy(), scaled[:3].numpy(), strict=True):
        image = Image.fromarray(face.astype(np.uint8))
        small = image.resize((24, 24), Image.Resampling.BILINEAR)
        theirs = np.asarray(small.resize((48, 48), Image.Resampling.BILINEAR), np.float32)
        assert np.abs(ours - theirs).max() < 2
        assert sharpness(torch.from_numpy(ours)) < sharpness(torch.from_numpy(face))


@pytest.mark.parametrize("side", [48, 44])
@pytest.mark.parametrize("quality", [10, 30, 80])
def test_compression_is_libjpegs(side: int, quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the fixture's
    monkeypatch.setattr(corruption, "_draw", lambda faces, **_: torch.ones(len(faces)))
    faces = FACES[:4, 0, :side, :side]
    compressed = corruption._compress(faces, replace(NOTHING, quality=quality)).clamp(0, 255)
    for face, ours in zip(faces.numpy(), compressed.numpy(), strict=True):
        stream = BytesIO()
        Image.fromarray(face.astype(np.uint8)).save(stream, "JPEG", quality=quality)
        theirs = np.asarray(Image.open(stream), np.float32)
        # a difference of rounding moves single coefficients by one level
        assert np.abs(ours - theirs).mean() < 0.15 * np.abs(ours - face).mean()


def test_motion_blurs_along_one_direction() -> None:
    point = torch.zeros(200, 1, 48, 48)
    point[:, :, 24, 24] = 255
    moved = corrupt(point, replace(NOTHING, motion=7))[:, 0]
    rows, columns = (moved > 1).any(2).sum(1), (moved > 1).any(1).sum(1)
    assert torch.maximum(rows, columns).max() >= 6
    assert torch.maximum(rows, columns).max() <= 8
    assert torch.allclose(moved.sum((1, 2)), torch.tensor(255.0), atol=0.1)


@pytest.mark.parametrize(
    "setting", [{"fraction": 1.1}, {"gamma": 0.5}, {"min_side": 0}, {"quality": 0}, {"noise": -1}]
)
def test_out_of_range(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be in"):
        Corruption(**setting)


def test_half_the_fraction() -> None:
    assert asdict(Corruption(fraction=0.4).halve()) == asdict(Corruption(fraction=0.2))


def test_scalings_are_made_as_they_are_drawn_and_few_are_kept() -> None:
    corruption._make_scaling.cache_clear()
    faces = FACES[:2].repeat(1, 1, 8, 8)
    corrupt(faces, replace(NOTHING, min_side=0.2))
    kept = corruption._make_scaling.cache_info()
    assert 1 <= kept.currsize <= 2
    down, up = corruption._make_scaling(faces.shape[-1], 100)
    assert kept.maxsize * (down.nbytes + up.nbytes) < 150e6


def test_mixed_precision_corrupts_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    torch.manual_seed(0)
    expected = corrupt(FACES, Corruption())
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(corrupt(FACES, Corruption()), expected)
