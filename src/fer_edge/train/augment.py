"""Random changes to a batch of faces in training, drawn for each face separately.

All draws of a face are numbers in [0, 1) that are given, so a face can be augmented again in the
same way: its view.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fer_edge.train.ranges import Augmentation

DRAWS = 12
"""Random numbers that a view of a face takes."""


def augment(faces: Tensor, ranges: Augmentation, draws: Tensor) -> Tensor:
    """Move, light and erase faces.

    Args:
        faces: uint8 `[N, S, S]`.
        ranges: of the changes.
        draws: float32 `[N, DRAWS]`, uniform in [0, 1).

    Returns:
        float32 `[N, 1, S, S]` in [0, 255].
    """
    move, light, erase = torch.split(draws.to(faces.device), [5, 2, 5], dim=1)
    with torch.autocast(faces.device.type, enabled=False):  # as in corrupt
        pixels = _transform(faces.unsqueeze(1).float(), ranges, move)
        return _erase(_change_light(pixels, ranges, light), ranges, erase)


VIEWS_VERSION = 1
"""Number of the arithmetic of `draw_view` and `augment`: logits of one see no faces of another."""


def draw_view(view: int, seed: int, n: int) -> Tensor:
    """Draw the numbers of one view of `n` faces, float32 `[n, DRAWS]`; torch's generator stays.

    They depend on the view, the seed, and the face's place alone.
    """
    random = torch.Generator().manual_seed(seed * 10_000 + view)
    return torch.rand(n, DRAWS, generator=random)


def _transform(pixels: Tensor, ranges: Augmentation, draws: Tensor) -> Tensor:
    angle = _scale(draws[:, 0], math.radians(ranges.rotation))
    zoom = 1 + _scale(draws[:, 1], ranges.scale)
    mirror = torch.where(draws[:, 2] < ranges.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    # affine_grid's coordinates run from -1 to 1, so a fraction of the side counts twice
    dx = _scale(draws[:, 3], 2 * ranges.shift)
    dy = _scale(draws[:, 4], 2 * ranges.shift)
    rows = [torch.stack([cos * mirror, -sin, dx], 1), torch.stack([sin * mirror, cos, dy], 1)]
    grid = nn.functional.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return nn.functional.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _change_light(pixels: Tensor, ranges: Augmentation, draws: Tensor) -> Tensor:
    mean = pixels.mean((1, 2, 3), keepdim=True)
    contrast = 1 + _scale(draws[:, 0], ranges.contrast).view(-1, 1, 1, 1)
    brightness = 255 * _scale(draws[:, 1], ranges.brightness).view(-1, 1, 1, 1)
    return ((pixels - mean) * contrast + mean + brightness).clamp(0, 255)


def _erase(pixels: Tensor, ranges: Augmentation, draws: Tensor) -> Tensor:
    side = pixels.shape[-1]
    is_chosen = draws[:, 0] < ranges.erase
    area = draws[:, 1] * ranges.erase_area
    ratio = torch.exp(_scale(draws[:, 2], math.log(3)))
    height, width = (area * ratio).sqrt() * side, (area / ratio).sqrt() * side
    top = draws[:, 3] * (side - height)
    left = draws[:, 4] * (side - width)
    index = torch.arange(side, device=pixels.device)
    rows = (index >= top[:, None]) & (index < (top + height)[:, None])
    columns = (index >= left[:, None]) & (index < (left + width)[:, None])
    hole = (rows[:, :, None] & columns[:, None, :] & is_chosen[:, None, None]).unsqueeze(1)
    return torch.where(hole, pixels.mean((1, 2, 3), keepdim=True), pixels)


def _scale(draws: Tensor, maximum: float) -> Tensor:
    """Map draws in [0, 1) to [-maximum, maximum)."""
    return (draws * 2 - 1) * maximum
