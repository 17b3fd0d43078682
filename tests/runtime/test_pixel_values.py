from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from fer_edge.runtime.pixel_values import to_eight_bits, to_uint8
from tests.support.files import EXAMPLE

with Image.open(EXAMPLE) as example:
    RGB = example.convert("RGB").resize((64, 48))
GRAY = RGB.convert("L")
DEEP = Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 257)


def to_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    assert converted is not None
    return converted


COPIES = {
    **{mode: RGB.convert(mode) for mode in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")},
    "RGBa": RGB.convert("RGBA").convert("RGBa"),
    "LAB": to_lab(RGB),
    **{mode: GRAY.convert(mode) for mode in ("L", "LA", "I", "F")},
    "La": GRAY.convert("LA").convert("La"),
    "I;16": DEEP,
    "I;16B": Image.fromarray(np.asarray(DEEP).astype(">u2")),
    "I;16 of 8 bits": Image.fromarray(np.asarray(GRAY).astype(np.uint16)),
    "I of 16 bits": DEEP.convert("I"),
    "F of 16 bits": DEEP.convert("I").convert("F"),
    "F up to 1": Image.fromarray(np.asarray(GRAY, np.float32) / 255),
    "P": GRAY.convert("P"),
    "PA": GRAY.convert("P").convert("PA"),
}


@pytest.mark.parametrize("name", COPIES)
def test_an_image_of_any_mode_is_as_what_it_was_made_from(name: str) -> None:
    result = to_eight_bits(COPIES[name])
    assert result.mode in ("L", "RGB")
    difference = np.asarray(result.convert("L")).astype(int) - np.asarray(GRAY)
    assert np.abs(difference).max() <= (4 if name in ("LAB", "HSV", "YCbCr") else 1)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64, np.float16, np.float32, float])
def test_arrays_of_any_type(dtype: type) -> None:
    gray = np.asarray(GRAY)
    assert np.array_equal(to_uint8(gray.astype(dtype)), gray)
    if dtype in (np.float32, float):
        assert np.array_equal(to_uint8(gray.astype(dtype) / 255), gray)
    if dtype not in (np.float16, np.float32):
        assert np.array_equal(to_uint8((gray.astype(np.int64) * 257).astype(dtype)), gray)


def test_booleans_are_black_and_white() -> None:
    assert to_uint8(np.array([[False, True]])).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 1023]], np.int32),
        np.array([[0, 1023]], np.uint16),
        np.array([[0, 4080]], ">u2"),
        np.array([[-20, 200]], np.int32),
        np.array([[0, 70_000]], np.int64),
        np.array([[0, 2.5]], np.float32),
        np.array([[-1, 1]], np.float32),
        np.array([[0, 4095]], np.float32),
    ],
)
def test_a_range_that_cannot_be_known_is_an_error(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"values from .* to .*, of which it is unknown"):
        to_uint8(values)


def test_a_deep_image_of_twelve_bits_is_an_error() -> None:
    image = Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 16)
    with pytest.raises(ValueError, match="of which it is unknown what is white"):
        to_eight_bits(image)


@pytest.mark.parametrize(
    "values", [np.zeros((2, 2), complex), np.array([["a"]]), np.array([[None]])]
)
def test_values_that_are_no_numbers(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="are no pixels"):
        to_uint8(values)


def test_transparent_pixels_are_white_in_every_strip() -> None:
    image = Image.new("RGBA", (1000, 2500), (0, 0, 0, 0))
    image.paste((10, 20, 30, 255), (0, 0, 1000, 1))
    pixels = np.asarray(to_eight_bits(image))
    assert (pixels[0] == (10, 20, 30)).all()
    assert (pixels[1:] == 255).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "1"])
def test_a_reduced_image_has_the_mean_of_the_whole(mode: str) -> None:
    image = RGB.resize((1501, 1203)).convert(mode)
    reduced = to_eight_bits(image, 4)
    assert reduced.size == (376, 301)
    whole = np.asarray(to_eight_bits(image).convert("L"), float)
    assert np.asarray(reduced.convert("L"), float).mean() == pytest.approx(whole.mean(), abs=0.7)


@pytest.mark.parametrize("size", [(1_300_003, 1), (1, 1_300_003)])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_images_of_one_row_or_column(size: tuple[int, int], factor: int) -> None:
    image = Image.new("RGBA", size, (10, 20, 30, 255))
    image.putpixel((size[0] - 1, size[1] - 1), (0, 0, 0, 0))
    pixels = np.asarray(to_eight_bits(image, factor))
    assert pixels.shape == (-(-size[1] // factor), -(-size[0] // factor), 3)
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels.max() > 30
    values = np.full(size, 0.5, np.float32)
    assert (to_uint8(values) == 128).all()
