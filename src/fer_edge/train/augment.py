"""Augmentation of a whole batch at once, each face with draws of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Augmentation:
    """How far each draw may go; 0 turns a kind off.

    Attributes:
        rotation: degrees either way.
        scale: relative size either way, 0.1 for 0.9 to 1.1.
        shift: share of the side either way, in x and in y.
        flip: probability of a left-right mirror.
        brightness: share of 255 added or taken.
        contrast: relative change about the face's own mean either way.
        erase: probability that a rectangle is filled with the face's mean.
        erase_area: the largest rectangle's share of the face.
    """

    rotation: float = 12.0
    scale: float = 0.1
    shift: float = 0.06
    flip: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.25
    erase: float = 0.25
    erase_area: float = 0.15

    def __post_init__(self) -> None:
        for name in ("scale", "shift", "flip", "brightness", "contrast", "erase", "erase_area"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], not {getattr(self, name)}")
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"rotation must be in [0, 180] degrees, not {self.rotation}")

    def __call__(self, faces: Tensor) -> Tensor:
        """Draw anew for each face of uint8 `[N, S, S]`; float32 `[N, 1, S, S]` in [0, 255].

        Draws come from torch's global generator, so a seed fixes them.
        """
        pixels = faces.unsqueeze(1).float()
        return self._erase(self._light(self._move(pixels)))

    def _move(self, pixels: Tensor) -> Tensor:
        n = len(pixels)
        angle = _either_way(n, math.radians(self.rotation), pixels)
        zoom = 1 + _either_way(n, self.scale, pixels)
        mirror = torch.where(torch.rand(n, device=pixels.device) < self.flip, -1.0, 1.0)
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        # affine_grid's plane is 2 wide, so a share of the side counts twice
        dx = _either_way(n, 2 * self.shift, pixels)
        dy = _either_way(n, 2 * self.shift, pixels)
        rows = [torch.stack([cos * mirror, -sin, dx], 1), torch.stack([sin * mirror, cos, dy], 1)]
        grid = nn.functional.affine_grid(
            torch.stack(rows, 1), list(pixels.shape), align_corners=False
        )
        return nn.functional.grid_sample(
            pixels, grid, mode="bilinear", padding_mode="border", align_corners=False
        )

    def _light(self, pixels: Tensor) -> Tensor:
        n = len(pixels)
        mean = pixels.mean((1, 2, 3), keepdim=True)
        contrast = 1 + _either_way(n, self.contrast, pixels).view(-1, 1, 1, 1)
        brightness = 255 * _either_way(n, self.brightness, pixels).view(-1, 1, 1, 1)
        return ((pixels - mean) * contrast + mean + brightness).clamp(0, 255)

    def _erase(self, pixels: Tensor) -> Tensor:
        n, side, device = len(pixels), pixels.shape[-1], pixels.device
        area = torch.rand(n, device=device) * self.erase_area
        ratio = torch.exp(_either_way(n, math.log(3), pixels))
        height, width = (area * ratio).sqrt() * side, (area / ratio).sqrt() * side
        top = torch.rand(n, device=device) * (side - height)
        left = torch.rand(n, device=device) * (side - width)
        place = torch.arange(side, device=device)
        rows = (place >= top[:, None]) & (place < (top + height)[:, None])
        columns = (place >= left[:, None]) & (place < (left + width)[:, None])
        chosen = torch.rand(n, device=device) < self.erase
        hole = (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]).unsqueeze(1)
        return torch.where(hole, pixels.mean((1, 2, 3), keepdim=True), pixels)


def _either_way(n: int, most: float, like: Tensor) -> Tensor:
    return (torch.rand(n, device=like.device) * 2 - 1) * most
