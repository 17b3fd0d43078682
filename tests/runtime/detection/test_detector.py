from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from fer_edge.detector_spec import count_cells
from fer_edge.errors import ConfigError, MissingExtraError, ModelError
from fer_edge.runtime.detection import detector as module
from fer_edge.runtime.detection import engines
from fer_edge.runtime.detection import yunet as yunet_module
from fer_edge.runtime.detection.detector import (
    Detection,
    Detector,
    OpenDetector,
    measure_tilt,
    open_finder,
)
from fer_edge.runtime.detection.engines import ENGINES, KINDS, OUTPUTS, STRIDES, open_network
from fer_edge.runtime.detection.find_detector import BUILT_IN, find_detector
from fer_edge.runtime.detection.searches import Finder
from fer_edge.runtime.detection.yunet import (
    MAX_CANDIDATES,
    NMS_THRESHOLD,
    SCORE_THRESHOLD,
    detect_faces,
)
from tests.support.files import EXAMPLE


def answering(faces: Mapping[tuple[int, int, int], float], shift: float = 0.5) -> engines.Run:
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
    (row,) = detect_faces(answering({(16, 2, 3): 0.8}), np.zeros((90, 100, 3), np.uint8))
    centre = np.array([(3 + 0.5) * 16, (2 + 0.5) * 16])
    np.testing.assert_allclose(row[:4], [*(centre - 16), 32, 32], rtol=0, atol=1e-4)
    points = np.arange(10).reshape(5, 2) / 10 * 16 + [48, 32]
    np.testing.assert_allclose(row[4:14].reshape(5, 2), points, rtol=0, atol=1e-4)
    assert row[14] == pytest.approx(0.8)


def test_unlikely_and_overlapping_boxes_are_dropped() -> None:
    faces = {(16, 1, 1): 0.7, (16, 1, 2): 0.9, (8, 10, 10): 0.59, (32, 2, 2): 0.65}
    rows = detect_faces(answering(faces), np.zeros((128, 128, 3), np.uint8))
    # (16, 1, 1) shares half of its box with the likelier (16, 1, 2): a third of both together
    assert [round(float(row[14]), 2) for row in rows] == [0.9, 0.65]


def test_no_face() -> None:
    assert detect_faces(answering({}), np.zeros((1, 500, 3), np.uint8)).shape == (0, 15)


class Fake(Detector):
    def __init__(self, run: engines.Run, **options: int) -> None:
        self.side, self.min_face = options.get("side", 640), options.get("min_face", 1)
        self._find = lambda image: detect_faces(run, np.asarray(image.convert("RGB")))


def test_a_large_image_is_shrunk_and_its_boxes_grow_back() -> None:
    seen = []

    def run(pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        seen.append(pixels.shape)
        return answering({(32, 3, 2): 0.9})(pixels)

    (one,) = Fake(run, side=320)(Image.new("L", (640, 1280)))
    assert seen == [(1, 3, 320, 160)]
    assert one.box == (192, 320, 256, 256)
    assert one.landmarks[0] == pytest.approx((256, 396.8))


def test_boxes_are_clipped_to_the_image() -> None:
    faces = {(32, 0, 0): 0.9, (32, 1, 2): 0.8}
    boxes = [one.box for one in Fake(answering(faces))(Image.new("RGB", (90, 70)))]
    assert boxes == [(0, 0, 48, 48), (48, 16, 42, 54)]
    assert Fake(answering(faces), min_face=43)(Image.new("RGB", (90, 70)))[0].box == boxes[0]
    assert Fake(answering(faces), min_face=49)(Image.new("RGB", (90, 70))) == ()


def _outputs(side: int) -> dict[str, np.ndarray]:
    """What YuNet gives for an image without faces."""
    return {
        f"{kind}_{stride}": np.zeros((1, (side // stride) ** 2, count), np.float32)
        for kind, count in KINDS.items()
        for stride in STRIDES
    }


def open_fake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Callable[[np.ndarray], object]
) -> Detector:
    """A detector whose engine is `run`."""
    (tmp_path / "d.onnx").write_bytes(b"x")
    monkeypatch.setitem(engines.ENGINES, "fake", lambda *_: (OUTPUTS, run))
    return Detector(tmp_path / "d.onnx", side=640, engine="fake")


@pytest.mark.parametrize("name", ["cls_8", "obj_16", "bbox_32", "kps_8"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_outputs_that_are_not_numbers(
    name: str, value: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outputs = _outputs(64)
    outputs[name][0, 1, 0] = value
    detector = open_fake(monkeypatch, tmp_path, lambda _: outputs)
    with pytest.raises(ModelError, match=rf"d\.onnx: its output {name} isn't numbers: damaged"):
        detector(Image.new("RGB", (64, 64)))


@pytest.mark.parametrize(
    "output",
    [np.zeros((1, 64, 2), np.float32), np.zeros(0, np.float32), np.zeros((1, 64, 1), np.int64)],
)
def test_outputs_of_another_shape(
    output: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = open_fake(monkeypatch, tmp_path, lambda _: _outputs(64) | {"cls_8": output})
    with pytest.raises(ModelError, match=r"d\.onnx: its output cls_8 is .*, not \(1, 64, 1\)"):
        detector(Image.new("RGB", (64, 64)))


def test_an_engine_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: np.ndarray) -> None:
        raise RuntimeError("first line\n  second line")

    with pytest.raises(ModelError, match=r"d\.onnx: can't be computed: first line second line: "):
        open_fake(monkeypatch, tmp_path, fail)(Image.new("RGB", (64, 64)))


@pytest.mark.parametrize("log_size", [-1e5, -50.0, 0.0, 88.0, 1e5])
@pytest.mark.parametrize("shift", [-9e5, -1.0, 9e5])
def test_boxes_of_any_size_lie_inside_the_image(
    log_size: float, shift: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outputs = _outputs(64)
    for stride in STRIDES:
        outputs[f"cls_{stride}"][:] = outputs[f"obj_{stride}"][:] = 1
        outputs[f"bbox_{stride}"][..., 2:] = log_size
        outputs[f"bbox_{stride}"][..., :2] = outputs[f"kps_{stride}"][:] = shift
    for face in open_fake(monkeypatch, tmp_path, lambda _: outputs)(Image.new("RGB", (64, 60))):
        x, y, width, height = face.box
        assert min(x, y) >= 0
        assert min(width, height) >= 10
        assert x + width <= 64
        assert y + height <= 60
        assert np.isfinite(face.landmarks).all()


def test_the_boxes_that_are_compared_are_few(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counts: list[int] = []

    def count(boxes: np.ndarray, _: float) -> list[int]:
        counts.append(len(boxes))
        return []

    outputs = _outputs(640)
    for name in outputs:
        outputs[name][:] = name.startswith(("cls", "obj"))
    monkeypatch.setattr(yunet_module, "non_maximum_suppression", count)
    open_fake(monkeypatch, tmp_path, lambda _: outputs)(Image.new("RGB", (640, 640)))
    assert counts == [MAX_CANDIDATES]


@pytest.mark.parametrize("engine", ENGINES)
def test_files_that_are_no_detector(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "d.onnx"
    with pytest.raises(
        ModelError, match=r"d\.onnx: there is no such file: the detectors with a name"
    ):
        Detector(path, engine=engine)
    path.write_bytes(b"text")
    with pytest.raises(ModelError, match=r"d\.onnx: not a face detector \("):
        Detector(path, engine=engine)
    face = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])
    same = helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 3, "h", "w"])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["same"])], "g", [face], [same]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    lacks = r"YuNet: it has no output 'bbox_16'|a face detector \(YuNet has no Identity\)"
    with pytest.raises(ModelError, match=rf"d\.onnx: not ({lacks})"):
        Detector(path, engine=engine)


def test_invalid_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.onnx"
    for options in ({"side": 16}, {"min_face": 0}):
        with pytest.raises(ConfigError):
            Detector(path, **options)
    with pytest.raises(ConfigError, match="engine 'tflite' is none of onnxruntime, openvino, ncnn"):
        Detector(path, engine="tflite")


@pytest.mark.parametrize(
    ("engine", "wanted"),
    [
        ("onnxruntime", "onnxruntime"),
        ("openvino", r"'fer-edge\[openvino\]'"),
        ("ncnn", r"'fer-edge\[ncnn\]'"),
    ],
)
def test_an_engine_that_is_not_installed(
    engine: str, wanted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "d.onnx").write_bytes(b"x")
    monkeypatch.delitem(sys.modules, f"fer_edge.runtime.backends.{engine}_backend", raising=False)
    monkeypatch.setitem(sys.modules, engine, None)  # an import of it fails
    with pytest.raises(MissingExtraError, match=f"pip install {wanted}( |$)"):
        Detector(tmp_path / "d.onnx", engine=engine)


@pytest.mark.parametrize(
    ("right", "left", "expected"),
    [
        ((10, 20), (30, 20), 0),
        ((10, 20), (30, 40), 45),
        ((10, 20), (30, 0), -45),
        ((20, 10), (20, 30), 90),
        ((30, 20), (10, 20), 180),
        ((5, 5), (5, 5), 0),
    ],
)
def test_tilt(right: tuple[float, float], left: tuple[float, float], expected: float) -> None:
    rest = ((0.0, 0.0),) * 3
    detection = Detection((0, 0, 40, 40), 0.9, (right, left, *rest))
    assert measure_tilt(detection) == pytest.approx(expected)


def six_faces(side: int) -> np.ndarray:
    """The example face six times, each more tilted, as RGB whose longer side is `side`."""
    with Image.open(EXAMPLE) as image:
        image = image.convert("RGB")
    tiled = Image.new("RGB", (3 * image.width, 2 * image.height))
    for i in range(6):
        turned = image.rotate(7 * i)
        tiled.paste(turned, (i % 3 * image.width, i // 3 * image.height))
    tiled.thumbnail((side, side))
    return np.asarray(tiled)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("side", [640, 200, 97])
def test_the_same_boxes_as_opencv(yunet: Path, side: int, engine: str) -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = six_faces(side)
    size = (pixels.shape[1], pixels.shape[0])
    peer = cv2.FaceDetectorYN.create(str(yunet), "", size, SCORE_THRESHOLD, NMS_THRESHOLD, 5000)
    _, expected = peer.detect(np.ascontiguousarray(pixels[:, :, ::-1]))
    found = detect_faces(open_network(yunet, engine=engine), pixels)
    assert len(found) == len(expected) == 6
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("threads", [0, 2])
def test_every_engine_finds_the_same_faces(yunet: Path, threads: int) -> None:
    ours, *others = (open_network(yunet, threads=threads, engine=engine) for engine in ENGINES)
    for side in (640, 333, 97):
        pixels = six_faces(side)
        expected = detect_faces(ours, pixels)
        for other in others:
            np.testing.assert_allclose(detect_faces(other, pixels), expected, rtol=0, atol=0.01)
    for other in others:
        assert detect_faces(other, np.zeros((33, 65, 3), np.uint8)).shape == (0, 15)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_detector_serves_several_threads(yunet: Path, engine: str) -> None:
    detector = Detector(yunet, min_face=1, engine=engine)
    images = [Image.fromarray(six_faces(side)) for side in (640, 300, 200, 97)]
    expected = [detector(image) for image in images]
    assert len(set(expected)) == 4
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(detector, images * 8)) == expected * 8


def tilts_of_the_example(detector: Detector, angles: Sequence[int]) -> list[float]:
    """The tilt measured in the example, rotated clockwise by each angle."""
    with Image.open(EXAMPLE) as image:
        image = image.convert("RGB")
    return [measure_tilt(detector(image.rotate(-angle))[0]) for angle in angles]


def test_tilt_is_measured_by_the_eyes(yunet: Path) -> None:
    seen = tilts_of_the_example(Detector(yunet), (-20, 0, 20))
    assert seen[0] + 10 < seen[1] < seen[2] - 10


def test_the_built_in_detector_measures_tilt() -> None:
    """Of a face so large that its eyes are those of a search at half the resolution."""
    seen = tilts_of_the_example(Detector(find_detector(BUILT_IN)), (-20, 0, 20))
    assert seen[0] + 10 < seen[1] < seen[2] - 10


@pytest.mark.parametrize("engine", ENGINES)
def test_the_example_face(yunet: Path, engine: str) -> None:
    with Image.open(EXAMPLE) as image:
        (one,) = Detector(yunet, engine=engine)(image)
    x, y, w, h = one.box
    assert one.score > 0.8
    assert 0 <= x < x + w <= 260
    assert 0 <= y < y + h <= 260
    assert all(x < px < x + w and y < py < y + h for px, py in one.landmarks)


def test_eyes_of_large_faces_come_from_a_smaller_image(
    monkeypatch: pytest.MonkeyPatch, detector_files: Path
) -> None:
    searched = list[tuple[int, ...]]()

    def run(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        searched.append(images.shape[1:])
        height, width = images.shape[1:]
        output = np.zeros((1, 9, count_cells(height, width)), np.float32)
        output[0, :, 0] = [0, 0, width / 3, height / 3, 0, 0, 9, 9, 0.9]
        return output

    monkeypatch.setattr(module, "open_cells", lambda *_, **__: run)
    Detector(detector_files, side=640)(Image.new("L", (640, 480)))
    assert searched == [(480, 640), (256, 320)]


def test_the_built_in_detector_misses_large_faces() -> None:
    opened = open_finder(find_detector(BUILT_IN), threads=1, engine="onnxruntime")
    assert opened.misses_large


def test_yunet_finds_large_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yunet.onnx").write_bytes(b"any")
    monkeypatch.setattr(module, "open_network", lambda *_, **__: answering({}))
    opened = open_finder(tmp_path / "yunet.onnx", threads=1, engine="onnxruntime")
    assert not opened.misses_large
    assert opened.score_threshold == SCORE_THRESHOLD


class Searches:
    """A detector's `_find` that knows the faces of an image, and sees those of 8 to 300 pixels."""

    def __init__(self, *boxes: tuple[int, int, int, int]) -> None:
        self.boxes, self.width, self.sides = boxes, 0, list[int]()

    def __call__(self, image: Image.Image) -> npt.NDArray[np.float32]:
        self.sides.append(max(image.size))
        factor = image.width / self.width
        scaled = [np.array(box) * factor for box in self.boxes]
        seen = [[*box, 0, 0, 1, 1, 0.9] for box in scaled if 8 <= min(box[2:]) <= 300]
        return np.array(seen, np.float32).reshape(-1, 9)


def open_as(find: Finder, monkeypatch: pytest.MonkeyPatch, *, misses_large: bool) -> None:
    """Let every file be a detector that finds faces so, with a threshold of 0.5."""
    opened = OpenDetector(find, 0.5, misses_large)
    monkeypatch.setattr(module, "open_finder", lambda *_, **__: opened)


ALL = [640, 320, 160, 80]
"""Sides of the searches for large faces."""


@pytest.mark.parametrize(
    ("size", "boxes", "sides", "count"),
    [
        ((2000, 1500), [(10, 10, 200, 200)], ALL, 1),
        ((2000, 1500), [(10, 10, 200, 200), (500, 500, 60, 60)], [*ALL, 1920], 2),
        ((2000, 1500), [(50 * i, 9, 20, 20) for i in range(9)], [*ALL, 1920], 9),
        ((2000, 1500), [(0, 0, 1400, 1400)], ALL, 1),
        # beside a face that fills the image, one that is found in the first search
        ((2000, 1500), [(0, 0, 1400, 1400), (1500, 9, 110, 110)], ALL, 2),
        ((2000, 1500), [], [*ALL, 1920], 0),
        ((6000, 100), [], [*ALL, 1920], 0),
        ((600, 400), [], [600, 300, 150, 75, 1200], 0),
        ((600, 400), [(50, 40, 120, 127)], [600, 300, 150, 75], 1),
        ((600, 400), [(9, 9, 5, 5), (90, 90, 40, 50)], [600, 300, 150, 75], 1),
        ((600, 400), [(9, 9, 12, 12), (90, 90, 5, 5)], [600, 300, 150, 75, 1200], 2),
        ((127, 100), [(9, 9, 90, 90)], [127], 1),
        ((128, 100), [(9, 9, 90, 90)], [128, 64], 1),
        ((300, 300), [], [300, 150, 75, 600], 0),
    ],
)
def test_an_image_is_searched_again_where_faces_may_be_missed(
    size: tuple[int, int],
    boxes: list[tuple[int, int, int, int]],
    sides: list[int],
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = Searches(*boxes)
    find.width = size[0]
    open_as(find, monkeypatch, misses_large=True)
    image = Image.new("L", size)
    found = Detector(Path("x"), min_face=1)(image)
    assert (find.sides, len(found)) == (sides, count)
    known = [box for box in sorted(boxes) if any(abs(box[0] - one.box[0]) < 3 for one in found)]
    np.testing.assert_allclose(sorted(one.box for one in found), known, atol=2)
    find.sides.clear()
    Detector(Path("x"))(image, for_crowd=False)
    assert find.sides == [side for side in sides if side <= min(640, max(size))]
    find.sides.clear()
    Detector(Path("x"), side=640)(image)
    assert find.sides == sides[:1]


@pytest.mark.parametrize(
    ("score", "found"), [(None, [0.9, 0.69, 0.55]), (0.5, [0.9, 0.69, 0.55]), (0.6, [0.9])]
)
def test_a_face_of_the_search_for_a_crowd_must_be_more_certain(
    score: float | None, found: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.675 instead of 0.5, 0.74 instead of 0.6."""

    def find(image: Image.Image) -> npt.NDArray[np.float32]:
        places = {640: [(0, 0.55)], 1920: [(300, 0.9), (900, 0.69), (1500, 0.66)]}
        rows = [[x, 9, 20, 20, 0, 0, 1, 1, value] for x, value in places.get(image.width, [])]
        return np.array([row for row in rows if row[8] >= (score or 0.5)], np.float32).reshape(
            -1, 9
        )

    open_as(find, monkeypatch, misses_large=False)
    detections = Detector(Path("x"), score=score)(Image.new("L", (1920, 480)))
    assert [one.score for one in detections] == pytest.approx(found)


@pytest.mark.parametrize("score", [0.6, 0.95])
def test_a_part_of_a_face_that_fills_the_image_is_dropped(
    score: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is the more certain one, or lies elsewhere."""
    eye, other = [90, 80, 218, 240], [560, 10, 60, 60]

    def find(image: Image.Image) -> npt.NDArray[np.float32]:
        if image.width < 320:
            return np.empty((0, 9), np.float32)
        if image.width == 320:
            return np.array([[49, 12, 194, 222, 0, 0, 1, 1, 0.9]], np.float32)
        found = [[*eye, 0, 0, 1, 1, score], [*other, 0, 0, 1, 1, 0.5]]
        return np.array(sorted(found, key=lambda row: -row[8]), np.float32)

    open_as(find, monkeypatch, misses_large=False)
    found = Detector(Path("x"))(Image.new("L", (640, 480)))
    whole = [98, 24, 388, 444]
    expected = [whole, other] if score < 0.9 else [eye, whole, other]
    np.testing.assert_allclose([one.box for one in found], expected, atol=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 31}, "the side for detection must be from 32 to 16,384, not 31"),
        ({"side": 0}, "not 0"),
        ({"side": 16_385}, "not 16385"),
        ({"min_face": 0}, "min_face must be 1 or more, not 0"),
        ({"score": float("nan")}, r"the lowest score of a face must be in \[0, 1\], not nan"),
        ({"score": 1.1}, "not 1.1"),
    ],
)
def test_settings_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Detector(Path("x"), **options)
