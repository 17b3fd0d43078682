"""Random changes to a batch of faces in training, drawn for each face separately."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fer_edge.train.config import Augmentation


def augment(faces: Tensor, ranges: Augmentation) -> Tensor:
    """Move, light and erase faces at random; torch's global generator makes the draws.

    `faces` is uint8 `[N, S, S]`, the result float32 `[N, 1, S, S]` in [0, 255].
    """
    pixels = _transform(faces.unsqueeze(1).float(), ranges)
    return _erase(_change_light(pixels, ranges), ranges)


def _transform(pixels: Tensor, ranges: Augmentation) -> Tensor:
    n = len(pixels)
    angle = _draw(n, math.radians(ranges.rotation), pixels)
    zoom = 1 + _draw(n, ranges.scale, pixels)
    mirror = torch.where(torch.rand(n, device=pixels.device) < ranges.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    # affine_grid's coordinates run from -1 to 1, so a fraction of the side counts twice
    dx = _draw(n, 2 * ranges.shift, pixels)
    dy = _draw(n, 2 * ranges.shift, pixels)
    rows = [torch.stack([cos * mirror, -sin, dx], 1), torch.stack([sin * mirror, cos, dy], 1)]
    grid = nn.functional.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return nn.functional.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _change_light(pixels: Tensor, ranges: Augmentation) -> Tensor:
    n = len(pixels)
    mean = pixels.mean((1, 2, 3), keepdim=True)
    contrast = 1 + _draw(n, ranges.contrast, pixels).view(-1, 1, 1, 1)
    brightness = 255 * _draw(n, ranges.brightness, pixels).view(-1, 1, 1, 1)
    return ((pixels - mean) * contrast + mean + brightness).clamp(0, 255)


def _erase(pixels: Tensor, ranges: Augmentation) -> Tensor:
    n, side, device = len(pixels), pixels.shape[-1], pixels.device
    area = torch.rand(n, device=device) * ranges.erase_area
    ratio = torch.exp(_draw(n, math.log(3), pixels))
    height, width = (area * ratio).sqrt() * side, (area / ratio).sqrt() * side
    top = torch.rand(n, device=device) * (side - height)
    left = torch.rand(n, device=device) * (side - width)
    index = torch.arange(side, device=device)
    rows = (index >= top[:, None]) & (index < (top + height)[:, None])
    columns = (index >= left[:, None]) & (index < (left + width)[:, None])
    chosen = torch.rand(n, device=device) < ranges.erase
    hole = (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]).unsqueeze(1)
    return torch.where(hole, pixels.mean((1, 2, 3), keepdim=True), pixels)


def _draw(n: int, maximum: float, like: Tensor) -> Tensor:
    """Draw `n` numbers in [-maximum, maximum] on the device of `like`."""
    return (torch.rand(n, device=like.device) * 2 - 1) * maximum
