from __future__ import annotations

import pytest
import torch

from fer_edge.train.batches import class_weights, mixup


def test_faces_and_targets_are_mixed_by_one_share() -> None:
    torch.manual_seed(1)
    pixels = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    mixed, targets = mixup(pixels, torch.eye(4), 0.4)
    assert torch.allclose(targets.sum(1), torch.ones(4))
    moved = targets[targets.max(1).values < 1]
    assert len(moved) > 0
    assert ((moved > 0).sum(1) == 2).all()
    assert len(moved.max(1).values.unique()) == 1
    assert torch.allclose(mixed[:, 0, 0, 0], targets @ torch.arange(4.0))


def test_class_weights() -> None:
    labels = torch.tensor([0, 0, 0, 1]).numpy()
    assert class_weights(labels, 2, 0.0).tolist() == [1, 1]
    assert class_weights(labels, 2, 1.0).tolist() == pytest.approx([2 / 3, 2])
    assert class_weights(labels, 3, 0.0).tolist() == [1, 1, 0]
    assert class_weights(labels, 3, 0.5).isfinite().all()
