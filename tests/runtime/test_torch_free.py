"""The base install's promise: a prediction with none of the heavy packages importable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.png"
SCRIPT = """
import sys

class Refuse:
    names = {
        "torch", "torchvision", "onnx", "onnxscript", "openvino", "lightning", "safetensors",
        "cv2", "scipy", "matplotlib", "platformdirs", "tensorboard", "nncf",
    }

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"refused: {name}", name=name)

sys.meta_path.insert(0, Refuse())
from fer_edge.cli import main
main()
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_infer_needs_no_torch() -> None:
    done = run("infer", "--json", EXAMPLE)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    assert face["emotion"] == "happy"
    assert abs(sum(face["probabilities"].values()) - 1) < 1e-6


def test_info_needs_no_torch() -> None:
    done = run("info", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["quantization"]["precision"] == "fp32"


def test_what_needs_torch_says_how_to_get_it(tmp_path: Path) -> None:
    for command, extra in (
        (["export", "--output", tmp_path], "export"),
        (["parity", "a.safetensors", "b.onnx"], "export"),
        (["evaluate", "b.onnx", "--data", "x.csv"], "train"),
        (["train", "--data", "x.csv"], "train"),
        (["data", "inspect", "x.csv"], "train"),
    ):
        done = run(*command)
        assert done.returncode == 1
        assert done.stdout == ""
        assert f"pip install 'fer-edge[{extra}]'" in done.stderr
        assert "Traceback" not in done.stderr
