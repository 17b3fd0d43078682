"""Augmentation of a whole batch at once, each face with draws of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fer_edge.train.config import Augmentation


def augment(faces: Tensor, settings: Augmentation) -> Tensor:
    """Draw anew for each face of uint8 `[N, S, S]`; float32 `[N, 1, S, S]` in [0, 255].

    Draws come from torch's global generator, so a seed fixes them.
    """
    pixels = faces.unsqueeze(1).float()
    return _erase(_light(_move(pixels, settings), settings), settings)


def _move(pixels: Tensor, settings: Augmentation) -> Tensor:
    n = len(pixels)
    angle = _either_way(n, math.radians(settings.rotation), pixels)
    zoom = 1 + _either_way(n, settings.scale, pixels)
    mirror = torch.where(torch.rand(n, device=pixels.device) < settings.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    # affine_grid's plane is 2 wide, so a share of the side counts twice
    dx = _either_way(n, 2 * settings.shift, pixels)
    dy = _either_way(n, 2 * settings.shift, pixels)
    rows = [torch.stack([cos * mirror, -sin, dx], 1), torch.stack([sin * mirror, cos, dy], 1)]
    grid = nn.functional.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return nn.functional.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _light(pixels: Tensor, settings: Augmentation) -> Tensor:
    n = len(pixels)
    mean = pixels.mean((1, 2, 3), keepdim=True)
    contrast = 1 + _either_way(n, settings.contrast, pixels).view(-1, 1, 1, 1)
    brightness = 255 * _either_way(n, settings.brightness, pixels).view(-1, 1, 1, 1)
    return ((pixels - mean) * contrast + mean + brightness).clamp(0, 255)


def _erase(pixels: Tensor, settings: Augmentation) -> Tensor:
    n, side, device = len(pixels), pixels.shape[-1], pixels.device
    area = torch.rand(n, device=device) * settings.erase_area
    ratio = torch.exp(_either_way(n, math.log(3), pixels))
    height, width = (area * ratio).sqrt() * side, (area / ratio).sqrt() * side
    top = torch.rand(n, device=device) * (side - height)
    left = torch.rand(n, device=device) * (side - width)
    place = torch.arange(side, device=device)
    rows = (place >= top[:, None]) & (place < (top + height)[:, None])
    columns = (place >= left[:, None]) & (place < (left + width)[:, None])
    chosen = torch.rand(n, device=device) < settings.erase
    hole = (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]).unsqueeze(1)
    return torch.where(hole, pixels.mean((1, 2, 3), keepdim=True), pixels)


def _either_way(n: int, most: float, like: Tensor) -> Tensor:
    return (torch.rand(n, device=like.device) * 2 - 1) * most
