from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge import Recognizer
from fer_edge.errors import DeviceError, ModelError, SourceError
from tests.conftest import EXAMPLE


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


def test_a_path_an_image_and_an_array_answer_alike(recognizer: Recognizer) -> None:
    with Image.open(EXAMPLE) as image:
        image.load()
    results = [recognizer(p) for p in (EXAMPLE, image, np.asarray(image))]
    assert results[0].faces == results[1].faces == results[2].faces
    (face,) = results[0].faces
    assert face.emotion == "happy"
    assert face.box == (0, 0, image.width, image.height)
    assert face.confidence == max(face.probabilities.values())
    assert tuple(face.probabilities) == recognizer.spec.labels


def test_the_bundled_model_gives_its_golden_answers() -> None:
    from fer_edge.runtime.backends import open_backend
    from fer_edge.runtime.bundled import bundled

    backend = open_backend(bundled("model"))
    faces = backend.spec.golden_faces()
    assert len(faces) == 16
    np.testing.assert_allclose(backend(faces), backend.spec.golden_logits(), rtol=0, atol=1e-4)
    one_by_one = np.concatenate([backend(face[None]) for face in faces])
    np.testing.assert_allclose(one_by_one, backend.spec.golden_logits(), rtol=0, atol=1e-4)


def test_stream_goes_on_after_an_unreadable_picture(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_bytes(EXAMPLE.read_bytes())
    errors: list[SourceError] = []
    results = list(recognizer.stream(tmp_path, on_error=errors.append))
    assert [Path(r.source).name for r in results] == ["b.png"]
    assert "a.png: empty" in str(errors[0])
    with pytest.raises(SourceError, match="empty"):
        list(recognizer.stream(tmp_path))


def test_pictures_that_no_face_can_be_cut_from(recognizer: Recognizer) -> None:
    with pytest.raises(SourceError, match="image: a picture without a pixel"):
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
    with pytest.raises(ModelError, match=r"cut\.onnx: ONNX Runtime can't load it"):
        Recognizer.load(tmp_path / "cut.onnx")
