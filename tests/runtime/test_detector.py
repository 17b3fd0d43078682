from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from fer_edge.errors import ModelError
from fer_edge.runtime import detector as module
from fer_edge.runtime.detector import KINDS, STRIDES, Detector, detect
from tests.conftest import EXAMPLE


def answering(faces: Mapping[tuple[int, int, int], float], shift: float = 0.5) -> module.Run:
    """A network that sees 2 x 2 strides large faces at (stride, row, column) with some score."""

    def run(pixels: np.ndarray) -> dict[str, np.ndarray]:
        height, width = pixels.shape[2:]
        answer = {}
        for stride in STRIDES:
            count = (height // stride) * (width // stride)
            for kind, numbers in zip(KINDS, (1, 1, 4, 10), strict=True):
                answer[f"{kind}_{stride}"] = np.zeros((1, count, numbers), np.float32)
        for (stride, row, column), score in faces.items():
            place = row * (width // stride) + column
            answer[f"cls_{stride}"][0, place] = score
            answer[f"obj_{stride}"][0, place] = score
            answer[f"bbox_{stride}"][0, place] = shift, shift, np.log(2), np.log(2)
            answer[f"kps_{stride}"][0, place] = np.arange(10) / 10
        return answer

    return run


def test_an_anchor_becomes_a_box_and_five_points() -> None:
    (row,) = detect(answering({(16, 2, 3): 0.8}), np.zeros((90, 100, 3), np.uint8))
    centre = np.array([(3 + 0.5) * 16, (2 + 0.5) * 16])
    np.testing.assert_allclose(row[:4], [*(centre - 16), 32, 32], rtol=0, atol=1e-4)
    points = np.arange(10).reshape(5, 2) / 10 * 16 + [48, 32]
    np.testing.assert_allclose(row[4:14].reshape(5, 2), points, rtol=0, atol=1e-4)
    assert row[14] == pytest.approx(0.8)


def test_unlikely_and_overlapping_boxes_go() -> None:
    faces = {(16, 1, 1): 0.7, (16, 1, 2): 0.9, (8, 10, 10): 0.59, (32, 2, 2): 0.65}
    rows = detect(answering(faces), np.zeros((128, 128, 3), np.uint8))
    # (16, 1, 1) shares half of its box with the likelier (16, 1, 2): a third of both together
    assert [round(float(row[14]), 2) for row in rows] == [0.9, 0.65]


def test_no_face() -> None:
    assert detect(answering({}), np.zeros((1, 500, 3), np.uint8)).shape == (0, 15)


class Fake(Detector):
    def __init__(self, run: module.Run, **options: int) -> None:
        self.side, self.least = options.get("side", 640), options.get("least", 1)
        self._run = run


def test_a_large_picture_is_shrunk_and_its_boxes_grow_back() -> None:
    seen = []

    def run(pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        seen.append(pixels.shape)
        return answering({(32, 3, 2): 0.9})(pixels)

    (one,) = Fake(run, side=320)(Image.new("L", (640, 1280)))
    assert seen == [(1, 3, 320, 160)]
    assert one.box == (192, 320, 256, 256)
    assert one.landmarks[0] == pytest.approx((256, 396.8))


def test_boxes_end_at_the_picture() -> None:
    faces = {(32, 0, 0): 0.9, (32, 1, 2): 0.8}
    boxes = [one.box for one in Fake(answering(faces))(Image.new("RGB", (90, 70)))]
    assert boxes == [(0, 0, 48, 48), (48, 16, 42, 54)]
    assert Fake(answering(faces), least=43)(Image.new("RGB", (90, 70)))[0].box == boxes[0]
    assert Fake(answering(faces), least=49)(Image.new("RGB", (90, 70))) == ()


def test_files_that_are_no_detector(tmp_path: Path) -> None:
    path = tmp_path / "d.onnx"
    with pytest.raises(ModelError, match=r"d\.onnx: there is no such detector: fer detector inst"):
        Detector(path)
    path.write_bytes(b"text")
    with pytest.raises(ModelError, match=r"d\.onnx: not a detector \("):
        Detector(path)
    face = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])
    same = helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 3, "h", "w"])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["same"])], "g", [face], [same]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"d\.onnx: not YuNet: it has no output 'bbox_16'"):
        Detector(path)
    for options in ({"side": 16}, {"least": 0}):
        with pytest.raises(ValueError, match="too small"):
            Detector(path, **options)


@pytest.mark.parametrize("side", [640, 200, 97])
def test_the_same_boxes_as_opencv(yunet: Path, side: int) -> None:
    cv2 = pytest.importorskip("cv2")
    with Image.open(EXAMPLE) as image:
        picture = image.convert("RGB")
    tiled = Image.new("RGB", (3 * picture.width, 2 * picture.height))
    for i in range(6):
        turned = picture.rotate(7 * i)
        tiled.paste(turned, (i % 3 * picture.width, i // 3 * picture.height))
    tiled.thumbnail((side, side))
    pixels = np.asarray(tiled)
    size = (pixels.shape[1], pixels.shape[0])
    peer = cv2.FaceDetectorYN.create(
        str(yunet), "", size, module.LEAST_SCORE, module.MOST_OVERLAP, 5000
    )
    _, expected = peer.detect(np.ascontiguousarray(pixels[:, :, ::-1]))
    found = detect(Detector(yunet)._run, pixels)
    assert len(found) == len(expected) == 6
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_the_example_face(yunet: Path) -> None:
    with Image.open(EXAMPLE) as image:
        (one,) = Detector(yunet)(image)
    x, y, w, h = one.box
    assert one.score > 0.8
    assert 0 <= x < x + w <= 260
    assert 0 <= y < y + h <= 260
    assert all(x < px < x + w and y < py < y + h for px, py in one.landmarks)
