"""Export, prove, and only then let the file out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from fer_edge.atomic import whole_file, write_text
from fer_edge.errors import ModelError, ParityError
from fer_edge.export.parity import Parity, compare_all
from fer_edge.export.to_onnx import exported_spec, to_onnx, write_onnx
from fer_edge.spec import Metrics, ModelSpec, Precision
from fer_edge.train import checkpoint as checkpoints
from fer_edge.train.evaluate import Model, evaluate, matched, open_model
from fer_edge.train.faces import FaceData, Split

REPORT_SUFFIX = ".parity.json"


def _write_openvino(graph: onnx.ModelProto, spec: ModelSpec, path: Path) -> None:
    from fer_edge.export.to_openvino import write_openvino

    write_openvino(graph, spec, path)


@dataclass(frozen=True)
class Format:
    """How a kind of file is written.

    Attributes:
        suffix: of the file that the engine is given.
        companions: suffixes of the files that belong to it.
        write: takes the ONNX graph, the spec and the path.
    """

    suffix: str
    companions: tuple[str, ...]
    write: Callable[[onnx.ModelProto, ModelSpec, Path], None]


FORMATS = {
    "onnx": Format(".onnx", (), write_onnx),
    "openvino": Format(".xml", (".bin",), _write_openvino),
}


@dataclass(frozen=True)
class Exported:
    """A file that passed, and the comparisons it passed: golden samples first, then a split."""

    path: Path
    format: str
    report: Path
    spec: ModelSpec
    parities: tuple[Parity, ...]

    @property
    def size(self) -> int:
        """Bytes on disk of all its files."""
        suffixes = (self.path.suffix, *FORMATS[self.format].companions)
        return sum(self.path.with_suffix(suffix).stat().st_size for suffix in suffixes)

    def to_dict(self) -> dict[str, Any]:
        """As `fer export --json` prints it; `parity` is that over the most faces."""
        return {
            "path": str(self.path),
            "format": self.format,
            "precision": self.spec.quantization.precision,
            "bytes": self.size,
            "report": str(self.report),
            "parity": self.parities[-1].to_dict(),
            "golden": self.parities[0].to_dict(),
        }


def export_file(
    source: Path,
    output: Path,
    data: FaceData | None = None,
    *,
    split: Split = "test",
    format: str = "onnx",
    precision: Precision = "fp32",
) -> Exported:
    """Write `output` from the checkpoint `source`, and its parity report beside it.

    The file is written under another name, loaded back by its engine and compared with PyTorch on
    the golden samples and, where there is data, on every face of the split. Only a file that
    reaches the bars of its precision gets its name.

    Args:
        source: a checkpoint.
        output: the file, with the suffix of its format.
        data: what to compare on besides the golden samples.
        split: of the data.
        format: a name of `FORMATS`.
        precision: "fp32" or "fp16".

    Raises:
        ParityError: a bar was missed; nothing is left behind.
        ModelError, SpecError, DataError: the checkpoint or the data can't be used.
    """
    checkpoint = checkpoints.load(source)
    reference = Model(str(source), checkpoint.spec, checkpoint.predict)
    graph = to_onnx(checkpoint, precision)
    spec = exported_spec(checkpoint, source, graph, precision)
    kind = FORMATS[format]
    report = output.with_name(f"{output.name}{REPORT_SUFFIX}")
    with whole_file(output, *kind.companions) as beside:
        kind.write(graph, spec, beside)
        exported = Model(str(output), spec, open_model(beside).predict)
        parities, metrics = _prove(reference, exported, data, split)
        kept = [m for m in checkpoint.spec.metrics if m.split not in [n.split for n in metrics]]
        spec = replace(spec, parity=parities[-1].summary(), metrics=(*kept, *metrics))
        kind.write(graph, spec, beside)
        if open_model(beside).spec != spec:
            raise ModelError(
                f"{output}: the spec doesn't come back from the file as it was written"
            )
    done = Exported(output, format, report, spec, tuple(parities))
    write_text(report, json.dumps(done.to_dict(), indent=2) + "\n")
    return done


def _prove(
    reference: Model, exported: Model, data: FaceData | None, split: Split
) -> tuple[list[Parity], list[Metrics]]:
    """The comparisons, and what the file reached on the split.

    Raises:
        ParityError: a bar was missed.
    """
    parities = compare_all(reference, exported, data, split)
    metrics: list[Metrics] = []
    if data is not None:
        faces = matched(data, data.split(split), exported.spec, exported.name)
        metrics.append(evaluate(exported, faces, split).metrics())
    failures = [failure for parity in parities for failure in parity.failures]
    if failures:
        raise ParityError(
            f"{exported.name} doesn't answer as {reference.name} and isn't kept: "
            f"{'; '.join(failures)}"
        )
    return parities, metrics
