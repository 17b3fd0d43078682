"""Large images are read at a reduced scale; sizes and boxes are those of the whole image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge import Recognizer
from fer_edge.runtime.detection.detector import Detection
from fer_edge.runtime.detection.face_cropper import FaceCropper
from fer_edge.runtime.inputs import limits
from fer_edge.runtime.inputs.images import load_image
from tests.support.files import EXAMPLE


@pytest.fixture
def _small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FULL_SCALE_PIXELS", 50_000)


@pytest.mark.usefixtures("_small_limit")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_reduced_image_is_predicted_as_the_whole(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(EXAMPLE) as image:
        stored = image.convert("RGB").resize((700, 601)).transpose(Image.Transpose.ROTATE_90)
    stored.save(path, exif=exif)
    recognizer = Recognizer.load(faces="whole")
    result = recognizer(path)
    assert (result.width, result.height) == (700, 601)
    assert result.faces[0].box == (0, 0, 700, 601)
    assert result.image.size in [(175, 151), (175, 150)]
    whole = recognizer(stored.transpose(Image.Transpose.ROTATE_270))
    assert result.faces[0].emotion == whole.faces[0].emotion
    assert result.faces[0].confidence == pytest.approx(whole.faces[0].confidence, abs=0.05)


@pytest.mark.usefixtures("_small_limit")
def test_arrays_and_images_in_memory_are_reduced_too() -> None:
    pixels = np.full((400, 600), 9, np.uint8)
    for source in (pixels, Image.fromarray(pixels)):
        loaded = load_image(source)
        assert (loaded.size, loaded.image.size) == ((600, 400), (150, 100))


def test_a_box_of_the_whole_image_is_cropped_from_the_reduced_one() -> None:
    whole = np.zeros((400, 800), np.uint8)
    whole[200:300, 400:500] = 200
    reduced = Image.fromarray(whole).reduce(2)
    seen = []

    def detector(image: Image.Image, of_size: tuple[int, int]) -> tuple[Detection, ...]:
        seen.append((image.size, of_size))
        return (Detection((400, 200, 100, 100), 0.9, ((0.0, 0.0),) * 5),)

    spec = Recognizer.load(faces="whole").spec
    cropper = FaceCropper(spec, "detect", lambda: detector, align=False)  # type: ignore[arg-type, return-value]
    crops = cropper(reduced, (800, 400))
    assert seen == [((400, 200), (800, 400))]
    assert crops.boxes == [((400, 200, 100, 100), 0.9)]
    middle = spec.input.side // 2
    assert crops.faces[0][middle, middle] == 200


@pytest.mark.usefixtures("_small_limit")
def test_a_reduced_image_is_drawn_at_its_scale(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 1200), "gray").save(tmp_path / "a.png")
    result = Recognizer.load(faces="whole")(tmp_path / "a.png")
    plot = result.plot()
    assert plot.height == 360  # the least that is drawn
    assert plot.getpixel((180, 180)) == (128, 128, 128)
