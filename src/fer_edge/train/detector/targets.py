"""Which cells are to find which face.

As in SimOTA (Ge et al., "YOLOX", arXiv:2107.08430): the cells around a face's centre compete, and
those that predict it best at the lowest cost find it. Only nine cells of each grid can, so that
nothing is computed for a whole image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fer_edge.detector_spec import STRIDES, count_cells

SIDES = ((0.0, 72.0), (20.0, 150.0), (48.0, float("inf")))
"""For each stride: the smallest and largest side of a face, in pixels, that it may find."""
_MIN_CELLS, _MAX_CELLS = 2, 9
"""How many cells find a face; in between, the sum of the IoU of the best."""
_IOU_COST = 3.0
_DISTANCE_COST = 1.0
"""Of one stride's distance between the centres of face and cell, squared."""


@dataclass(frozen=True)
class Matches:
    """Pairs of a face and a cell that is to find it.

    Attributes:
        image: int64 `[pairs]`, the image's number in the batch.
        face: int64 `[pairs]`, the face's number in the image.
        cell: int64 `[pairs]`, the cell's number, as in the model's output.
    """

    image: Tensor
    face: Tensor
    cell: Tensor


@torch.no_grad()
def match(geometry: Tensor, logits: Tensor, faces: Tensor, side: int) -> Matches:
    """Choose the cells that are to find each face.

    Args:
        geometry: float32 `[N, 8, cells]`, predicted boxes and eyes, in pixels.
        logits: float32 `[N, 1, cells]`, of the predicted scores.
        faces: float32 `[N, faces, 8]`; those of size 0 are none.
        side: of the square images, in pixels.
    """
    cells, distance, is_near = _find_candidates(faces, side)
    images, count, near = cells.shape
    flat = cells.flatten(1)
    boxes = geometry[:, :4].gather(2, flat[:, None].expand(-1, 4, -1))
    boxes = boxes.view(images, 4, count, near).permute(0, 2, 3, 1)
    scores = logits[:, 0].gather(1, flat).view(images, count, near)
    overlap = iou(boxes, faces[:, :, None, :4])
    cost = functional.softplus(-scores) - _IOU_COST * (overlap + 1e-4).log()
    cost = cost + _DISTANCE_COST * distance.square()
    cost = torch.where(is_near, cost, torch.inf)
    overlap = torch.where(is_near, overlap, 0.0)
    wanted = overlap.topk(_MAX_CELLS, 2).values.sum(2).round().clamp(_MIN_CELLS, _MAX_CELLS)
    rank = cost.argsort(dim=2, stable=True).argsort(dim=2, stable=True)
    is_chosen = is_near & (rank < wanted[:, :, None])
    # a cell finds one face: the one at the lowest cost
    cost = torch.where(is_chosen, cost, torch.inf).flatten(1)
    lowest = cost.new_full((images, geometry.shape[2]), torch.inf)
    lowest = lowest.scatter_reduce(1, flat, cost, "amin")
    is_chosen = is_chosen.flatten(1) & (cost == lowest.gather(1, flat))
    image, place = is_chosen.nonzero().T
    return Matches(image, place // near, flat[image, place])


def _find_candidates(faces: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The 3 x 3 cells around each face's centre on every grid.

    Returns:
        cells int64, distances to the centre in strides, and whether the cell is in the image and
        its grid may find the face, each `[N, faces, 27]`.
    """
    centre, size = faces[..., :2] + faces[..., 2:4] / 2, faces[..., 2:4].amax(2, keepdim=True)
    steps = torch.tensor([-1.0, 0.0, 1.0], device=faces.device)
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), 2).view(9, 2)
    cells, distances, near, first = [], [], [], 0
    for stride, (smallest, largest) in zip(STRIDES, SIDES, strict=True):
        count = side // stride
        place = centre[:, :, None] / stride
        index = place.floor() + offsets
        is_inside = ((index >= 0) & (index < count)).all(3)
        index = index.clamp(0, count - 1)
        cells.append(first + (index[..., 1] * count + index[..., 0]).long())
        distances.append((index + 0.5 - place).norm(dim=3))
        near.append(is_inside & (size > 0) & (size >= smallest) & (size <= largest))
        first += count * count
    assert first == count_cells(side, side)
    return torch.cat(cells, 2), torch.cat(distances, 2), torch.cat(near, 2)


def iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes `[..., 4]` (x, y, width, height), in [0, 1]."""
    ends = torch.minimum(one[..., :2] + one[..., 2:4], other[..., :2] + other[..., 2:4])
    shared = (ends - torch.maximum(one[..., :2], other[..., :2])).clamp_min(0).prod(-1)
    union = one[..., 2:4].prod(-1) + other[..., 2:4].prod(-1) - shared
    return shared / union.clamp_min(1e-6)
