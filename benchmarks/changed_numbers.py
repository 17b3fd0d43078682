"""How many changed numbers in a model file do its golden samples reveal?

python -m benchmarks.changed_numbers [--keep]

For each tensor of weights or scales in the file of base, a copy has its first number changed: a
float times 64, the sign bit of an int8 flipped. A copy is revealed by samples whose logits differ
from the spec's by more than `MAX_DIFF`. `--keep` writes benchmarks/results/changed_numbers.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from benchmarks.lib.result_tables import save_result
from benchmarks.lib.timing import open_session
from fer_edge.runtime.backends.verification import compare_logits, judge, start_samples
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec

Logits = npt.NDArray[np.float32]
COLUMNS = ["samples", "copies revealed"]


def make_copies(model: onnx.ModelProto) -> Iterator[bytes]:
    """One changed copy after the other."""
    for tensor in model.graph.initializer:
        is_scale = tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 1
        is_weight = tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 4
        if not (is_scale or is_weight):
            continue
        original = tensor.SerializeToString()
        values = numpy_helper.to_array(tensor).copy()
        values.flat[0] = values.flat[0] * 64 if is_scale else values.flat[0] ^ np.int8(-128)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        yield model.SerializeToString()
        tensor.ParseFromString(original)


def is_revealed(logits: Logits, expected: Logits, spec: ModelSpec, samples: list[int]) -> bool:
    difference = compare_logits(logits[samples], expected[samples])
    return judge(difference, spec.quantization.precision, "onnxruntime") != "right"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    path = bundled("model")
    spec = read_spec(path)
    faces, expected = spec.golden_faces(), spec.golden_logits()
    start = start_samples(spec)
    choices = {
        "the black face": start[:1],
        "the drawn face": start[1:],
        "both, when a model is opened": start,
        f"all {len(faces)}, by `fer doctor`": list(range(len(faces))),
    }
    sessions = (open_session(copy, log_severity_level=4) for copy in make_copies(onnx.load(path)))
    found = [session.run(["logits"], {"faces": faces})[0] for session in sessions]
    rows: list[list[str | int | float]] = [
        [name, f"{sum(is_revealed(one, expected, spec, samples) for one in found)} of {len(found)}"]
        for name, samples in choices.items()
    ]
    for row in rows:
        print("  ".join(map(str, row)))
    if given.keep:
        command = "python -m benchmarks.changed_numbers --keep"
        save_result("changed_numbers", COLUMNS, rows, command=command, model=spec.title)


if __name__ == "__main__":
    main()
