"""The detector's network, its decoding, its targets and its loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fer_edge.detector_spec import STRIDES, VALUES, count_cells
from fer_edge.train.detector.batches import Piece, collate
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.loss import compute_losses, eiou_loss, quality_focal_loss
from fer_edge.train.detector.network import (
    HEADS,
    Widths,
    build_detector,
    count_multiplications,
    decode,
)
from fer_edge.train.detector.targets import iou, match
from tests.support.photographs import draw_photograph

EYE_WEIGHT = DetectorConfig("photographs", "labels.json").eye_weight
SMALL = Widths(8, 8, 16, 16, 24)
YUNET_MULTIPLICATIONS = 68_844_800
"""Of YuNet's convolutions for 256 x 320 pixels, counted in its ONNX graph."""


def test_the_size_of_the_network() -> None:
    detector = build_detector()
    assert sum(one.numel() for one in detector.parameters()) < 120_000
    assert count_multiplications(detector, 256, 320) <= 0.36 * YUNET_MULTIPLICATIONS
    assert detector.training


def test_cells_are_decoded_in_their_places() -> None:
    maps = tuple(torch.zeros(1, VALUES, 64 // s, 96 // s) for s in (8, 16, 32))
    maps[1][0, :, 1, 2] = torch.tensor([0.25, -0.25, np.log(2), 0, 0.5, 0, -0.5, 1, 3])
    geometry, logits = decode(maps)
    assert geometry.shape == (1, 8, count_cells(64, 96))
    cell = 8 * 12 + 1 * 6 + 2
    centre_x, centre_y = 16 * (2.5 + 0.25), 16 * (1.5 - 0.25)
    expected = [centre_x - 16, centre_y - 8, 32, 16, 16 * 3.0, 16 * 1.5, 16 * 2.0, 16 * 2.5]
    assert geometry[0, :, cell].tolist() == pytest.approx(expected)
    assert logits[0, 0, cell] == 3
    # a cell of 0: its own square
    assert geometry[0, :4, 13].tolist() == [8, 8, 8, 8]


def test_the_output_of_the_model() -> None:
    torch.manual_seed(0)
    detector = build_detector(SMALL).eval()
    images = torch.randint(0, 256, (2, 64, 96), dtype=torch.uint8)
    output = detector(images)
    assert output.shape == (2, VALUES, count_cells(64, 96))
    assert ((output[:, -1] > 0) & (output[:, -1] < 0.1)).all()
    assert torch.equal(output, detector.forward_pixels(images[:, None].float()))
    assert all(name in dict(detector.network.named_modules()) for name in HEADS)


def _geometry(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells that predict their own square."""
    maps = tuple(torch.zeros(1, VALUES, side // s, side // s) for s in (8, 16, 32))
    return decode(maps)


def test_cells_around_the_centre_find_a_face() -> None:
    geometry, logits = _geometry(64)
    faces = torch.tensor([[[20.0, 20, 8, 8, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]]])
    pairs = match(geometry, logits, faces, 64)
    assert set(pairs.face.tolist()) == {0}
    assert len(pairs.cell) >= 2
    # all on the finest grid, the nearest first: the centre is (24, 24)
    assert set(pairs.cell.tolist()) <= {8 * y + x for y in (2, 3, 4) for x in (2, 3, 4)}


def test_a_large_face_is_found_on_the_coarsest_grid_only() -> None:
    geometry, logits = _geometry(256)
    faces = torch.tensor([[[30.0, 30, 180, 200, 0, 0, 0, 0]]])
    pairs = match(geometry, logits, faces, 256)
    assert (pairs.cell >= 32 * 32 + 16 * 16).all()


def test_a_cell_finds_one_face() -> None:
    geometry, logits = _geometry(64)
    face = [20.0, 20, 9, 9, 0, 0, 0, 0]
    pairs = match(geometry, logits, torch.tensor([[face, [28.0, *face[1:]]]]), 64)
    assert len(set(pairs.cell.tolist())) == len(pairs.cell)
    assert set(pairs.face.tolist()) == {0, 1}


def test_no_face_is_no_error() -> None:
    detector = build_detector(SMALL)
    maps = detector.compute_maps(torch.rand(1, 1, 64, 64))
    ignored = torch.zeros(1, count_cells(64, 64), dtype=torch.bool)
    losses = compute_losses(maps, torch.zeros(1, 1, 8), ignored, 64, EYE_WEIGHT)
    assert losses.box == losses.eyes == 0
    assert losses.score > 0
    ignored[:] = True
    assert compute_losses(maps, torch.zeros(1, 1, 8), ignored, 64, EYE_WEIGHT).score == 0


@pytest.mark.parametrize(("side", "weight"), [(8.0, 3.0), (16.0, 2.0), (32.0, 1.0), (50.0, 1.0)])
def test_a_small_face_counts_more(
    side: float, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the loss of the scores of the cells that are to find it."""
    maps = tuple(torch.zeros(1, 9, 64 // stride, 64 // stride) for stride in STRIDES)
    faces = torch.tensor([[[7.0, 7.0, side, side + 3, 8.0, 9.0, 12.0, 9.0]]])
    others = torch.ones(1, count_cells(64, 64), dtype=torch.bool)  # their losses don't count
    found = compute_losses(maps, faces, others, 64, EYE_WEIGHT)
    monkeypatch.setattr("fer_edge.train.detector.loss._MAX_WEIGHT", 1.0)
    alike = compute_losses(maps, faces, others, 64, EYE_WEIGHT)
    assert float(found.score) == pytest.approx(weight * float(alike.score))
    assert (found.box, found.eyes) == (alike.box, alike.eyes)


def test_iou_and_its_loss() -> None:
    one = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    other = torch.tensor([[0.0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 10, 10]])
    assert iou(one, other).tolist() == pytest.approx([1, 1 / 3, 0])
    losses = eiou_loss(one, other)
    assert losses[0] == 0
    assert 0 < losses[1] < 1 < losses[2]


def test_the_focal_loss_is_least_at_its_target() -> None:
    target = torch.tensor(0.7)
    logits = torch.linspace(-4, 4, 81)
    losses = quality_focal_loss(logits, target.expand(81))
    assert logits[losses.argmin()].sigmoid() == pytest.approx(0.7, abs=0.02)


def test_a_few_pieces_are_learned_by_heart() -> None:
    """Every face is found, at its place, and nothing else: targets and loss fit the decoding."""
    random = np.random.default_rng(0)
    pieces = []
    for count in (1, 2, 1, 0):
        image, rows = draw_photograph(random, count, (128, 128))
        faces = np.reshape(rows, (-1, 10))[:, :8].astype(np.float32)
        ignored = np.zeros(count_cells(128, 128), np.bool_)
        pieces.append(Piece(np.asarray(image), faces, ignored))
    images, faces, ignored = collate(pieces)
    torch.manual_seed(0)
    detector = build_detector(SMALL)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=8e-3)
    pixels = images.unsqueeze(1).float()
    for _ in range(150):
        optimizer.zero_grad()
        compute_losses(
            detector.compute_maps(pixels), faces, ignored, 128, EYE_WEIGHT
        ).total().backward()
        optimizer.step()
    with torch.no_grad():
        geometry, logits = decode(detector.compute_maps(pixels))
    for boxes, scores, own in zip(geometry, logits[:, 0].sigmoid(), faces, strict=True):
        real = own[own[:, 2] > 0]
        sure = boxes[:, scores > 0.5].T
        overlaps = iou(sure[:, None, :4], real[None, :, :4])
        assert len(real) or not len(sure)
        if len(real):
            assert (overlaps.amax(0) > 0.6).all()  # each is found
            assert (overlaps.amax(1) > 0.5).all()  # and nothing else is
            best = sure[overlaps.argmax(0)]
            assert (best[:, 4:] - real[:, 4:]).abs().max() < 6
