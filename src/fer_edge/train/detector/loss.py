"""The loss of a detector: of the scores, the boxes and the eyes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fer_edge.train.detector.network import decode
from fer_edge.train.detector.targets import iou, match

_BOX_WEIGHT = 2.0
_SLACK = 2.0
"""Pixels added at every edge of both boxes before the IoU of a score's target: labels are no more
exact, and the score of a tiny face would be low for it."""
_FULL_SIDE, _MAX_WEIGHT = 32.0, 3.0
"""A face whose shorter side is below so many pixels counts more in the loss of the scores, in
proportion, up to a limit: there are more things that look like a tiny face, and one threshold is
to suit faces of every size."""


@dataclass(frozen=True)
class Losses:
    """The parts of the loss, each a scalar that is averaged over faces and weighted."""

    score: Tensor
    box: Tensor
    eyes: Tensor

    def total(self) -> Tensor:
        """The sum of the parts."""
        return self.score + self.box + self.eyes


def compute_losses(
    maps: tuple[Tensor, ...], faces: Tensor, ignored: Tensor, side: int, eye_weight: float
) -> Losses:
    """Compute the losses of a batch.

    The target of a score is the square root of the IoU of the cell's box, both boxes enlarged by
    two pixels at every edge (Li et al., "Generalized Focal Loss", arXiv:2006.04388, which has the
    IoU itself: of tiny faces it is low whatever a network does, and their scores would be, too). In
    the loss of the scores, the cells that are to find a face under `_FULL_SIDE` pixels count more.

    Args:
        maps: of the network, for the pieces of a batch.
        faces, ignored: as in `batches.Batch`.
        side: of the pieces, in pixels.
        eye_weight: of the eyes' loss.
    """
    geometry, logits = decode(maps)
    pairs = match(geometry, logits, faces, side)
    found = geometry[pairs.image, :, pairs.cell]
    wanted = faces[pairs.image, pairs.face]
    overlap = iou(_enlarge(found), _enlarge(wanted)).detach().clamp_min(0).sqrt()
    targets = torch.zeros_like(logits[:, 0])
    targets[pairs.image, pairs.cell] = overlap
    is_asked = ~ignored
    is_asked[pairs.image, pairs.cell] = True
    count = max(1, len(pairs.image))
    weights = torch.ones_like(targets)
    shorter = wanted[:, 2:4].amin(1).clamp_min(1.0)
    weights[pairs.image, pairs.cell] = (_FULL_SIDE / shorter).clamp(1.0, _MAX_WEIGHT)
    loss = quality_focal_loss(logits[:, 0], targets) * weights
    score = loss[is_asked].sum() / count
    box = _BOX_WEIGHT * eiou_loss(found, wanted).sum() / count
    size = wanted[:, 2:4].prod(1, keepdim=True).clamp_min(1.0).sqrt()
    error = functional.smooth_l1_loss(
        found[:, 4:] / size, wanted[:, 4:] / size, beta=0.02, reduction="none"
    )
    return Losses(score, box, eye_weight * error.sum() / count)


def _enlarge(boxes: Tensor) -> Tensor:
    """Boxes `[N, 4]` of faces `[N, 8]`, larger by `_SLACK` at every edge."""
    return torch.cat([boxes[:, :2] - _SLACK, boxes[:, 2:4] + 2 * _SLACK], 1)


def quality_focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """|target - score|^2 times the binary cross-entropy (arXiv:2006.04388), for each cell."""
    distance = (targets - logits.sigmoid()).square()
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return distance * entropy


def eiou_loss(one: Tensor, other: Tensor) -> Tensor:
    """1 - IoU, and the squared distances of centres, widths and heights, for each pair.

    They are relative to the smallest box around both (Zhang et al., "EIoU", arXiv:2101.08158).
    """
    first = torch.minimum(one[:, :2], other[:, :2])
    last = torch.maximum(one[:, :2] + one[:, 2:4], other[:, :2] + other[:, 2:4])
    around = (last - first).clamp_min(1e-3).square().detach()
    centres = (one[:, :2] + one[:, 2:4] / 2 - other[:, :2] - other[:, 2:4] / 2).square()
    sides = (one[:, 2:4] - other[:, 2:4]).square()
    return 1 - iou(one, other) + centres.sum(1) / around.sum(1) + (sides / around).sum(1)
