"""The rows of `run.py`: what is measured, in which environment, by which adapter."""

from __future__ import annotations

from benchmarks.peers.environments import Environment
from benchmarks.peers.rows import Contender

BASE = Environment("fer-edge", ("{wheel}",))
OPENVINO = Environment("fer-edge-openvino", ("{wheel}[openvino]",))
NCNN = Environment("fer-edge-ncnn", ("numpy pillow rich typer<0.29 ncnn", "--no-deps {wheel}"))
"""As on a board with one engine: without ONNX Runtime."""
TORCH = Environment("fer-edge-export", ("{wheel}[export]",))
LITERT = "ai-edge-litert opencv-python-headless"
FER_MODEL = Environment("fer-model", (LITERT, "--no-deps fer"))
FER = Environment("fer", ("fer",))
FACEX_MODEL = Environment("facex-model", (f"{LITERT} scikit-image", "--no-deps facex"))
FACEX = Environment("facex", ("facex",))
MTCNN = Environment("facial-emotion-recognition", ("facial-emotion-recognition",))


OURS = "base, ONNX Runtime"
FER_LITERT = "`fer`'s model, LiteRT"
TABLE = (
    Contender(OURS, BASE, {"adapter": "ours", "engine": "onnxruntime"}),
    Contender("base, OpenVINO", OPENVINO, {"adapter": "ours", "engine": "openvino"}),
    Contender("base, `Recognizer`", BASE, {"adapter": "ours_whole"}),
    Contender(
        "small, ONNX Runtime", BASE, {"adapter": "ours", "engine": "onnxruntime", "model": "small"}
    ),
    Contender(
        "small, OpenVINO", OPENVINO, {"adapter": "ours", "engine": "openvino", "model": "small"}
    ),
    Contender("small, `Recognizer`", BASE, {"adapter": "ours_whole", "model": "small"}),
    Contender(
        "base's checkpoint in fp32, ONNX Runtime",
        BASE,
        {"adapter": "ours", "engine": "onnxruntime", "model": "{fp32}"},
    ),
    Contender(
        "base's checkpoint in fp32, OpenVINO",
        OPENVINO,
        {"adapter": "ours", "engine": "openvino", "model": "{fp32}"},
    ),
    Contender(
        "base's checkpoint in fp32, ncnn",
        NCNN,
        {"adapter": "ours", "engine": "ncnn", "model": "{ncnn}"},
    ),
    Contender(
        "base's checkpoint, PyTorch eager", TORCH, {"adapter": "torch_module", "compiled": False}
    ),
    Contender(
        "base's checkpoint, torch.compile", TORCH, {"adapter": "torch_module", "compiled": True}
    ),
    Contender(FER_LITERT, FER_MODEL, {"adapter": "fer_litert"}),
    Contender("`fer` as installed", FER, {"adapter": "fer_whole", "offsets": [10, 10]}),
    Contender("`fer`, `offsets=(0, 0)`", FER, {"adapter": "fer_whole", "offsets": [0, 0]}),
    Contender(
        "`fer`, Keras, `offsets=(0, 0)`",
        FER,
        {"adapter": "fer_whole", "offsets": [0, 0], "tflite": False},
    ),
    Contender("`facex`'s model, LiteRT", FACEX_MODEL, {"adapter": "facex_litert"}),
    Contender("`facex` as installed", FACEX, {"adapter": "facex_whole"}),
    Contender(
        "`facial-emotion-recognition` as installed",
        MTCNN,
        {"adapter": "facial_emotion_recognition", "moved": False},
    ),
    Contender(
        "`facial-emotion-recognition`, weights moved to the CPU",
        MTCNN,
        {"adapter": "facial_emotion_recognition", "moved": True},
    ),
)
