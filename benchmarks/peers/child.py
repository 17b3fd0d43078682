"""One contender of `benchmarks/peers/run.py`, run by its own environment's Python.

python -P child.py CONTENDER        JSON lines in, JSON lines out, until the input ends
python -P child.py CONTENDER IMAGE  prints the label of one image of one face

CONTENDER is JSON: {"adapter": a name of ADAPTERS, and the adapter's arguments}. This file imports
nothing that a peer's environment may lack, and no adapter imports more than it needs, because
imports count as cold start.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class Reader:
    """A loaded contender.

    Attributes:
        labels: every label that it can predict, as it calls them.
        read: reads an image file for `face`, as its users do.
        face: uint8 gray `[48, 48]`, one face as a whole, to a label; it resizes and scales by
            itself. None where it finds no face.
        photograph: an image file to the labels of the faces found in it; None where it has no
            detector.
        packages: packages whose versions the table shows.
        probabilities: as `face`, to the probabilities of `labels`. None where it has none.
    """

    labels: tuple[str, ...]
    read: Callable[[str], Any]
    face: Callable[[Any], str | None]
    photograph: Callable[[str], Iterable[str]] | None
    packages: tuple[str, ...]
    probabilities: Callable[[Any], Any] | None = None


def ours(*, engine: str, model: str | None = None) -> Reader:
    """A model of the package, by default base, or an exported file under an engine."""
    from fer_edge.runtime.backends import open_backend
    from fer_edge.runtime.formats.model_files import resolve_model
    from fer_edge.runtime.preprocess import crop_face

    backend = open_backend(resolve_model(model), backend=engine, threads=1)
    side, crop = backend.spec.input.side, backend.spec.crop

    def face(gray: Any) -> str:
        cut = crop_face(gray, (0, 0, gray.shape[1], gray.shape[0]), crop, side)
        return backend.spec.labels[int(backend(cut[None]).argmax())]

    return Reader(backend.spec.labels, _with_pillow, face, None, ("fer-edge", engine, "numpy"))


def ours_whole(*, model: str | None = None, detector: str | None = None) -> Reader:
    """The library as its users call it: `Recognizer` with a model of the package, or base."""
    from fer_edge import Recognizer

    options: dict[str, Any] = {"model": model, "backend": "onnxruntime", "threads": 1}
    whole = Recognizer.load(faces="whole", **options)

    def face(image: Any) -> str:
        return str(whole(image).faces[0].emotion)

    finding = Recognizer.load(faces="detect", detector=detector, **options) if detector else whole

    def photograph(path: str) -> list[str]:
        return [one.emotion for one in finding(path).faces]

    packages = ("fer-edge", "onnxruntime", "numpy")
    return Reader(whole.spec.labels, str, face, photograph if detector else None, packages)


def torch_module(*, compiled: bool) -> Reader:
    """Base's float network in PyTorch."""
    import torch

    from fer_edge.runtime.formats.model_files import bundled
    from fer_edge.train.networks import checkpoint

    torch.set_num_threads(1)
    loaded = checkpoint.load(bundled("checkpoint"))
    network = torch.compile(loaded.model) if compiled else loaded.model

    def face(gray: Any) -> str:
        with torch.inference_mode():
            return loaded.spec.labels[int(network(torch.from_numpy(gray)[None]).argmax())]

    return Reader(loaded.spec.labels, _with_pillow, face, None, ("fer-edge", "torch", "numpy"))


def fer_litert() -> Reader:
    """`fer`'s TFLite file alone, fed as `FER.detect_emotions` feeds it."""
    import cv2
    import numpy as np

    run = _litert("fer", "data/emotion_model_quantized.tflite")

    def probabilities(gray: Any) -> Any:
        scaled = np.array([cv2.resize(gray, (64, 64))], dtype="float32") / 255.0
        return run(((scaled - 0.5) * 2.0)[..., None])

    def face(gray: Any) -> str:
        return FER2013[int(probabilities(gray).argmax())]

    packages = ("fer", "ai-edge-litert", "numpy")
    return Reader(FER2013, _with_opencv, face, None, packages, probabilities)


def fer_whole(*, offsets: list[int], tflite: bool = True) -> Reader:
    """`fer` itself. `offsets`: the pixels by which it widens every box."""
    import cv2
    from fer.fer import FER

    cv2.setNumThreads(1)
    detector = FER(use_tflite=tflite, offsets=tuple(offsets))

    def best_label(found: dict[str, Any]) -> str:
        scores = found["emotions"]
        return str(max(scores, key=scores.get))  # as its `top_emotion` does

    def face(image: Any) -> str:
        # it takes BGR alone
        colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        box = (0, 0, colour.shape[1], colour.shape[0])
        return best_label(detector.detect_emotions(colour, face_rectangles=[box])[0])

    def photograph(path: str) -> list[str]:
        return [best_label(found) for found in detector.detect_emotions(path)]

    packages = ("fer", "tensorflow", "opencv-contrib-python", "numpy")
    return Reader(FER2013, cv2.imread, face, photograph, packages)


FACEX = ("anger", "disgust", "fear", "happy", "neutral", "sadness", "surprised")


def facex_litert() -> Reader:
    """`facex`'s TFLite file alone, fed as its `input_resize` feeds it."""
    import numpy as np
    from skimage.transform import resize

    run = _litert("facex", "assets/model_optimized.tflite")

    def face(gray: Any) -> str:
        scaled = resize(gray, (200, 200, 3))[None]  # in [0, 1] already
        return FACEX[int(run(np.array(scaled, dtype=np.float32)).argmax())]

    return Reader(FACEX, _with_opencv, face, None, ("facex", "ai-edge-litert", "scikit-image"))


def facex_whole() -> Reader:
    """`facex` itself."""
    import cv2
    import facex

    cv2.setNumThreads(1)
    model = Path(facex.__file__).parent / "assets" / "model_optimized.tflite"
    classifier = facex.EmotionClassifier(str(model))

    def face(gray: Any) -> str:
        scores = classifier.detect_emotion(gray)
        return str(max(scores, key=scores.get))

    def photograph(path: str) -> list[str]:
        found = classifier.predict(cv2.imread(path))
        return [max(one["emot"], key=one["emot"].get) for one in found]

    packages = ("facex", "tensorflow", "opencv-contrib-python", "numpy")
    return Reader(tuple(classifier.category), _with_opencv, face, photograph, packages)


def facial_emotion_recognition(*, moved: bool) -> Reader:
    """`facial-emotion-recognition` itself. `moved`: its weights, saved on a GPU, go to the CPU."""
    from functools import partial

    import cv2
    import torch
    from facial_emotion_recognition import EmotionRecognition

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if moved:
        torch.load = partial(torch.load, map_location="cpu")
    recognition = EmotionRecognition(device="cpu")
    predict = recognition._predict
    labels: list[str] = []

    # it returns only the image with its labels drawn on it, so they are recorded here
    def record(gray: Any) -> str:
        labels.append(predict(gray))
        return labels[-1]

    recognition._predict = record

    def photograph(path: str) -> list[str]:
        labels.clear()
        recognition.recognise_emotion(cv2.imread(path))
        return list(labels)

    packages = ("facial-emotion-recognition", "torch", "opencv-python", "numpy")
    known = tuple(recognition.emotions.values())
    return Reader(known, _with_opencv, predict, photograph, packages)


ADAPTERS: dict[str, Callable[..., Reader]] = {
    "ours": ours,
    "ours_whole": ours_whole,
    "torch_module": torch_module,
    "fer_litert": fer_litert,
    "fer_whole": fer_whole,
    "facex_litert": facex_litert,
    "facex_whole": facex_whole,
    "facial_emotion_recognition": facial_emotion_recognition,
}


def _with_pillow(path: str) -> Any:
    from fer_edge.runtime.inputs.images import open_image
    from fer_edge.runtime.preprocess import to_gray

    return to_gray(open_image(Path(path)))


def _with_opencv(path: str) -> Any:
    import cv2

    return cv2.imread(path, cv2.IMREAD_GRAYSCALE)


def _litert(package: str, file: str) -> Callable[[Any], Any]:
    """A TFLite file in a package, which isn't imported, because it needs TensorFlow."""
    import sysconfig

    from ai_edge_litert.interpreter import Interpreter

    path = Path(sysconfig.get_paths()["purelib"], package, file)
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]

    def run(pixels: Any) -> Any:
        interpreter.set_tensor(source, pixels)
        interpreter.invoke()
        return interpreter.get_tensor(target)[0]

    return run


def timed(call: Callable[[], Any], *, warm: int, calls: int) -> tuple[Any, list[float]]:
    """The last result, and the seconds of each call after the first `warm`."""
    result, seconds = None, []
    for turn in range(warm + calls):
        began = time.perf_counter()
        result = call()
        if turn >= warm:
            seconds.append(time.perf_counter() - began)
    return result, seconds


def respond(reader: Reader, request: dict[str, Any]) -> dict[str, Any]:
    """The reply to "predict" or "probabilities" (of faces), "time" (one face) or "photograph"."""
    if request["do"] == "photograph":
        if reader.photograph is None:
            return {"labels": None, "seconds": None}
        find = reader.photograph
        labels, seconds = timed(
            lambda: list(find(request["path"])), warm=request["warm"], calls=request["calls"]
        )
        return {"labels": labels, "seconds": seconds}
    import numpy as np

    faces = np.load(request["faces"], mmap_mode="r")
    if request["do"] == "predict":
        return {"labels": [reader.face(np.array(face)) for face in faces]}
    if request["do"] == "probabilities":
        if reader.probabilities is None:
            return {"error": "it predicts labels alone"}
        return {"probabilities": [reader.probabilities(np.array(face)).tolist() for face in faces]}
    face = np.array(faces[request["at"]])
    _, seconds = timed(lambda: reader.face(face), warm=request["warm"], calls=request["calls"])
    return {"seconds": seconds}


def serve(contender: dict[str, Any]) -> None:
    """Reply with JSON lines on standard output, which libraries that print don't get."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(document: dict[str, Any]) -> None:
        print(json.dumps(document), file=replies, flush=True)

    try:
        reader = ADAPTERS[contender.pop("adapter")](**contender)
        from importlib import metadata

        versions = {name: metadata.version(name) for name in reader.packages}
        reply({"labels": reader.labels, "versions": versions})
        for line in sys.stdin:
            reply(respond(reader, json.loads(line)))
    # whatever a peer raises is shown in its row of the table
    except Exception as error:
        message = " ".join(str(error).split())
        reply({"error": f"{type(error).__name__}: {message}"})
        raise


def main() -> None:
    contender = json.loads(sys.argv[1])
    if len(sys.argv) == 2:
        serve(contender)
        return
    reader = ADAPTERS[contender.pop("adapter")](**contender)
    print(reader.face(reader.read(sys.argv[2])))


if __name__ == "__main__":
    main()
