from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fer_edge import Recognizer
from fer_edge.errors import ConfigError, DeviceError, ModelError, SourceError
from fer_edge.runtime.detection.detector import Detection, Detector
from fer_edge.runtime.preprocess import Box
from tests.support.files import EXAMPLE, PHOTO


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


def test_a_path_an_image_and_an_array_give_the_same_faces() -> None:
    recognizer = Recognizer.load(faces="whole")
    with Image.open(EXAMPLE) as image:
        image.load()
    results = [recognizer(p) for p in (EXAMPLE, image, np.asarray(image))]
    assert results[0].faces == results[1].faces == results[2].faces
    (face,) = results[0].faces
    assert face.emotion == "happy"
    assert face.box == (0, 0, image.width, image.height)
    assert face.confidence == max(face.probabilities.values())
    assert tuple(face.probabilities) == recognizer.spec.labels


def test_base_gives_its_golden_logits() -> None:
    from fer_edge.runtime.backends import open_backend
    from fer_edge.runtime.formats.model_files import bundled

    backend = open_backend(bundled("model"))
    faces = backend.spec.golden_faces()
    assert len(faces) == 16
    np.testing.assert_allclose(backend(faces), backend.spec.golden_logits(), rtol=0, atol=1e-4)
    one_by_one = np.concatenate([backend(face[None]) for face in faces])
    np.testing.assert_allclose(one_by_one, backend.spec.golden_logits(), rtol=0, atol=1e-4)


def test_stream_continues_after_an_unreadable_image(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_bytes(EXAMPLE.read_bytes())
    errors: list[SourceError] = []
    results = list(recognizer.stream(tmp_path, on_error=errors.append))
    assert [Path(r.source).name for r in results] == ["b.png"]
    assert "a.png: empty" in str(errors[0])
    with pytest.raises(SourceError, match="empty"):
        list(recognizer.stream(tmp_path))


def test_images_without_pixels_or_too_long_are_refused() -> None:
    recognizer = Recognizer.load(faces="whole")
    with pytest.raises(SourceError, match="image: an image without pixels"):
        recognizer(Image.new("L", (0, 5)))
    with pytest.raises(SourceError, match="image: the square"):
        recognizer(Image.new("L", (400_000, 1)))


def test_an_empty_folder_is_one_error(recognizer: Recognizer, tmp_path: Path) -> None:
    errors: list[SourceError] = []
    assert list(recognizer.stream(tmp_path, on_error=errors.append)) == []
    assert len(errors) == 1


def test_load_refuses(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        Recognizer.load(tmp_path / "no.onnx")
    with pytest.raises(ModelError, match=r"no backend reads \.tflite"):
        Recognizer.load(tmp_path / "no.tflite")
    with pytest.raises(DeviceError, match="backend 'tensorrt' is none of auto, onnxruntime"):
        Recognizer.load(backend="tensorrt")
    with pytest.raises(DeviceError, match="device 'cuda' is none of auto, cpu, gpu, npu; onnx"):
        Recognizer.load(device="cuda")
    with pytest.raises(DeviceError, match="threads"):
        Recognizer.load(threads=-1)
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x01\x12")
    with pytest.raises(ModelError, match=r"cut\.onnx: damaged or cut off"):
        Recognizer.load(tmp_path / "cut.onnx")


LEVEL = ((0.0, 0.0), (9.0, 0.0))


def finding(*boxes: Box) -> Callable[[], Detector]:
    """Opens a detector that sees these boxes in every image."""

    def detector(*_: Any, **__: Any) -> tuple[Detection, ...]:
        return tuple(Detection(box, 0.9, LEVEL) for box in boxes)

    return lambda: detector  # type: ignore[return-value]


def test_each_face_that_is_found_is_read() -> None:
    recognizer = Recognizer.load(faces="whole")
    with Image.open(EXAMPLE) as image:
        image = image.convert("RGB")
    wide = Image.new("RGB", (3 * image.width, image.height))
    wide.paste(image, (2 * image.width, 0))
    boxes = [(2 * image.width, 0, image.width, image.height), (0, 0, 100, 90)]
    backend = recognizer._backend
    found = Recognizer(backend, faces="auto", open_detector=finding(*boxes))(wide)
    assert [face.box for face in found.faces] == boxes
    assert [face.score for face in found.faces] == [0.9, 0.9]
    (alone,) = recognizer(image).faces
    assert found.faces[0].probabilities == alone.probabilities
    assert found.faces[1].probabilities != alone.probabilities
    none = Recognizer(backend, faces="auto", open_detector=finding())(wide)
    assert none.faces == ()
    assert none.plot().size == wide.size


def test_a_missing_detector_fails_on_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("FER_EDGE_DETECTOR", raising=False)
    with pytest.raises(ModelError, match="YuNet isn't installed: run fer detector install"):
        Recognizer.load(detector="yunet")
    with pytest.raises(ModelError, match=r"no\.onnx: there is no such file"):
        Recognizer.load(detector=tmp_path / "no.onnx")


def test_a_photograph(yunet: Path) -> None:
    for detector in ("built-in", yunet):
        recognizer = Recognizer.load(detector=detector)
        (face,) = recognizer(PHOTO).faces
        assert face.emotion == "happy"
        assert face.score > 0.7
        assert (face.small, face.box[2] < 200) == (False, True)


def test_a_face_below_min_confidence_is_uncertain() -> None:
    recognizer = Recognizer.load(faces="whole")
    backend = recognizer._backend
    (sure,) = recognizer(EXAMPLE).faces
    for least, emotion in ((sure.confidence, "happy"), (sure.confidence + 1e-6, "uncertain")):
        result = Recognizer(backend, min_confidence=least)(EXAMPLE)
        (face,) = result.faces
        assert face.emotion == emotion
        assert face.confidence == sure.confidence
        assert face.probabilities == sure.probabilities
        result.plot()
    with pytest.raises(ConfigError, match=r"min_confidence must be in \[0, 1\], not 2"):
        Recognizer(backend, min_confidence=2)
