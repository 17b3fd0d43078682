"""What a camera does to a face: uneven light, blur, few pixels, noise and compression.

Each face has draws of its own. The order is that of a camera: light, lens, sensor, scaling, JPEG.
Blur and scaling are linear and separable, so each is one matrix from the left and from the right.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import torch
from torch import Tensor, nn

from fer_edge.train.ranges import Corruption

_PART = 0.4
"""Probability of each kind of corruption in a face that is corrupted."""
_MAX_SCALINGS = 64
"""Pairs of matrices that are kept: all sizes of faces of 48 px, and 130 MB at 512 px."""
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""JPEG's quantization table of luminance at quality 50 (ITU-T T.81, table K.1)."""


def corrupt(pixels: Tensor, ranges: Corruption) -> Tensor:
    """Corrupt some faces of a batch at random; torch's global generator makes the draws.

    Args:
        pixels: float32 `[N, 1, S, S]` in [0, 255].
        ranges: of the corruptions.

    Returns:
        float32 `[N, 1, S, S]` in [0, 255].
    """
    chosen = (torch.rand(len(pixels)) < ranges.fraction).nonzero().flatten().to(pixels.device)
    if not len(chosen):
        return pixels
    faces = pixels[chosen, 0]
    with torch.autocast(pixels.device.type, enabled=False):  # bfloat16 rounds gray levels
        faces = _change_light(faces, ranges)
        faces = _blur_along_line(_blur(faces, ranges), ranges)
        faces = _scale_and_sense(faces, ranges)
        faces = _compress(faces.clamp(0, 255), ranges)
    result = pixels.clone()
    result[chosen, 0] = faces.clamp(0, 255)
    return result


def _draw(faces: Tensor, *, power: float = 1.0) -> Tensor:
    """Draw a strength in [0, 1) for each face; 0 in the faces that are spared."""
    n = len(faces)
    strength = torch.rand(n) ** power * (torch.rand(n) < _PART)
    return strength.to(faces.device)


def _change_light(faces: Tensor, ranges: Corruption) -> Tensor:
    """Change gamma and brightness, and let light fall from one side."""
    gamma = torch.exp((2 * torch.rand(len(faces)) - 1).to(faces.device) * math.log(ranges.gamma))
    gamma = torch.where(_draw(faces) > 0, gamma, 1.0)[:, None, None]
    faces = 255 * (faces / 255).clamp_min(0) ** gamma
    factor = torch.exp(_draw(faces) * math.log(ranges.min_brightness))
    brighter = torch.rand(len(faces)).to(faces.device) < 0.3
    factor = torch.where(brighter, 1 + 0.6 * (1 - factor), factor)
    angle = (2 * math.pi * torch.rand(len(faces))).to(faces.device)[:, None, None]
    place = torch.linspace(-0.5, 0.5, faces.shape[-1], device=faces.device)
    across = (place * angle.cos() + place[:, None] * angle.sin()).clamp(-0.5, 0.5) + 0.5
    shade = 1 - (_draw(faces) * ranges.shade)[:, None, None] * across
    return (faces * factor[:, None, None] * shade).clamp(0, 255)


def _blur(faces: Tensor, ranges: Corruption) -> Tensor:
    """Blur by a Gaussian; pixels beyond the edge are like the edge's."""
    sigma = (_draw(faces, power=1.5) * ranges.blur).clamp_min(1e-2)[:, None, None]
    side = faces.shape[-1]
    place = torch.arange(side, dtype=torch.float32, device=faces.device)
    reach = math.ceil(4 * ranges.blur)
    source = torch.arange(-reach, side + reach, dtype=torch.float32, device=faces.device)
    weight = torch.exp(-0.5 * ((place[:, None] - source) / sigma).square())
    weight = weight / weight.sum(2, keepdim=True)
    matrix = weight[:, :, reach : side + reach].clone()
    matrix[:, :, 0] += weight[:, :, :reach].sum(2)
    matrix[:, :, -1] += weight[:, :, side + reach :].sum(2)
    return matrix @ faces @ matrix.mT


def _blur_along_line(faces: Tensor, ranges: Corruption) -> Tensor:
    """Blur along a line, as a face or a camera that moves."""
    length = _draw(faces) * ranges.motion
    moved = (length > 1).nonzero().flatten()
    if not len(moved):
        return faces
    angle = math.pi * torch.rand(len(moved)).to(faces.device)
    reach = math.ceil(ranges.motion / 2)
    steps = torch.linspace(-0.5, 0.5, 2 * reach + 1, device=faces.device)
    side = faces.shape[-1]
    padded = nn.functional.pad(faces[moved][None], (reach,) * 4, mode="replicate")[0]
    index = torch.arange(side, device=faces.device)
    total = torch.zeros_like(faces[moved])
    batch = torch.arange(len(moved), device=faces.device)[:, None, None]
    for step in steps:
        dx = (length[moved] * step * angle.cos()).round().long()[:, None, None] + reach
        dy = (length[moved] * step * angle.sin()).round().long()[:, None, None] + reach
        total += padded[batch, index[:, None] + dy, index + dx]
    result = faces.clone()
    result[moved] = total / len(steps)
    return result


def _scale_and_sense(faces: Tensor, ranges: Corruption) -> Tensor:
    """Scale down, add the sensor's noise before or after it, and scale up again."""
    side = faces.shape[-1]
    min_side = round(ranges.min_side * side)
    sizes = (side - (_draw(faces, power=0.7) * (side - min_side))).round().int().tolist()
    down, up = (
        torch.stack(matrices).to(faces.device)
        for matrices in zip(*(_make_scaling(side, n) for n in sizes), strict=True)
    )
    sigma = (_draw(faces, power=1.5) * ranges.noise)[:, None, None]
    # a face of few pixels in a photograph has noise in these; another was noisy at its own size
    is_early = (torch.rand(len(faces)) < 0.5).to(faces.device)[:, None, None]
    faces = torch.where(is_early, _add_noise(faces, sigma), faces)
    small = down @ faces @ down.mT
    small = torch.where(is_early, small, _add_noise(small, sigma))
    return up @ small @ up.mT


def _add_noise(faces: Tensor, sigma: Tensor) -> Tensor:
    """Add Gaussian noise, half of the faces' as photons have it: more where it is bright."""
    noise = torch.randn(faces.shape).to(faces.device)
    is_photon = (torch.rand(len(faces)) < 0.5).to(faces.device)[:, None, None]
    brightness = (faces.clamp(0, 255) / 127.5).sqrt()
    return faces + sigma * noise * torch.where(is_photon, brightness, 1.0)


@lru_cache(_MAX_SCALINGS)
def _make_scaling(side: int, n: int) -> tuple[Tensor, Tensor]:
    """Matrices float32 `[side, side]` that scale a line down to n pixels, and up again.

    They are antialiased and bilinear, as Pillow's; rows and columns beyond n are zero.
    """
    down, up = torch.zeros(side, side), torch.zeros(side, side)
    down[:n] = _scale_line(torch.eye(side), n)
    up[:, :n] = _scale_line(torch.eye(n), side)
    return down, up


def _scale_line(lines: Tensor, size: int) -> Tensor:
    """Matrix `[size, M]` of the scaling of a line of M pixels, whose unit vectors are `lines`."""
    scaled = nn.functional.interpolate(
        lines[None, None], size=(len(lines), size), mode="bilinear", antialias=True
    )
    return scaled[0, 0].T


def _compress(faces: Tensor, ranges: Corruption) -> Tensor:
    """Compress as JPEG does: quantize the cosine transform of blocks of 8 x 8 pixels."""
    strength = _draw(faces)
    chosen = (strength > 0).nonzero().flatten()
    if not len(chosen):
        return faces
    quality = 90 - strength[chosen] * (90 - ranges.quality)
    # libjpeg's scale of the table
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = torch.tensor(_LUMINANCE, dtype=torch.float32, device=faces.device)
    table = ((table * percent[:, None, None] + 50) / 100).floor().clamp(1, 255)
    side = faces.shape[-1]
    rest = -side % 8
    blocks = nn.functional.pad(faces[chosen][:, None], (0, rest, 0, rest), mode="replicate")[:, 0]
    n, across = len(chosen), (side + rest) // 8
    blocks = blocks.round().view(n, across, 8, across, 8).transpose(2, 3) - 128
    basis = _make_cosines().to(faces.device)
    levels = (basis @ blocks @ basis.T / table[:, None, None]).round()
    blocks = basis.T @ (levels * table[:, None, None]) @ basis + 128
    result = faces.clone()
    result[chosen] = blocks.transpose(2, 3).reshape(n, 8 * across, -1)[:, :side, :side]
    return result


@cache
def _make_cosines() -> Tensor:
    """The orthonormal discrete cosine transform (DCT-II) of 8 values, float32 `[8, 8]`."""
    k = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos(math.pi / 8 * (k + 0.5) * k[:, None]) / 2
    matrix[0] /= math.sqrt(2)
    return matrix.float()
