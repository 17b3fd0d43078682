"""Exports a face detector to a file, which is kept only if it finds what PyTorch finds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fer_edge.atomic import named, whole_file
from fer_edge.detector_spec import DetectorParity, DetectorSample, DetectorSpec
from fer_edge.errors import ConfigError, ModelError, ParityError
from fer_edge.export.detector_formats import DETECTOR_FORMATS
from fer_edge.export.detector_parity import (
    THRESHOLDS,
    compare_detectors,
    find_failures,
    golden_images,
)
from fer_edge.export.exportable import ConvertedModel
from fer_edge.export.exporter import REPORT_SUFFIX
from fer_edge.export.output import check_replaceable
from fer_edge.runtime.detection.cells import open_cells
from fer_edge.runtime.formats.model_files import COMPANIONS, model_size
from fer_edge.runtime.formats.spec_reader import read_detector_spec
from fer_edge.spec import Precision, Quantization
from fer_edge.train.detector import checkpoint as checkpoints
from fer_edge.train.detector.checkpoint import DetectorCheckpoint
from fer_edge.train.detector.whole import WholePhotographs
from fer_edge.train.networks.checkpoint import sha256


@dataclass(frozen=True)
class ExportedDetector:
    """An exported detector and its comparison with PyTorch.

    Attributes:
        path: the file that the engine opens.
        format: a key of `DETECTOR_FORMATS`.
        size: bytes on disk of all its files.
        report: the comparison as JSON.
        parity: the comparison, which passed unless the gate was off.
    """

    path: Path
    format: str
    precision: Precision
    size: int
    report: Path
    parity: DetectorParity

    def to_dict(self) -> dict[str, Any]:
        """As `fer detector export --json` prints it."""
        return {
            "path": str(self.path),
            "format": self.format,
            "precision": self.precision,
            "bytes": self.size,
            "report": str(self.report),
            "parity": asdict(self.parity),
        }


def export_detector(
    source: Path,
    output: Path,
    photographs: WholePhotographs | None = None,
    *,
    format: str = "onnx",
    precision: Precision = "fp32",
    score_threshold: float | None = None,
    enforced: bool = True,
    force: bool = False,
) -> ExportedDetector:
    """Export the checkpoint `source` to `output` and write its report beside it.

    The file is written under a temporary name, opened by its engine and compared with PyTorch on
    the golden samples and, where there are photographs, on these. It gets its final name only if it
    reaches the thresholds, or if they aren't enforced, which its spec then records.

    Args:
        source: a checkpoint of a detector.
        output: the file, with the suffix of its format.
        photographs: of val.
        format: a key of `DETECTOR_FORMATS`.
        precision: "fp32", or "int8", the checkpoint's QAT model.
        score_threshold: lowest score of a face, in [0, 1]; None: the checkpoint's.
        enforced: whether a file that misses a threshold is refused.
        force: replace an existing file.

    Raises:
        ParityError: the file missed a threshold; nothing is left behind.
        ConfigError: the format lacks the precision, or the file exists.
        ModelError, SpecError: the checkpoint can't be used.
        MissingExtraError: a package of the format isn't installed.
        OSError: a file can't be written.
    """
    target = DETECTOR_FORMATS[format]
    if precision not in target.precisions:
        raise ConfigError(f"{format} has no {precision}: {', '.join(target.precisions)}")
    if not output.name.endswith(target.suffix):
        raise ConfigError(f"{output}: {format} writes a file that ends in {target.suffix}")
    check_replaceable(output)
    if output.exists() and not force:
        raise ConfigError(f"{output} exists: pass --force to replace it, or choose another file")
    checkpoint = checkpoints.load(source)
    own = checkpoint.int8() if precision == "int8" else checkpoint
    if score_threshold is not None:
        own = replace(own, spec=replace(own.spec, score_threshold=score_threshold))
    converted = target.convert(checkpoint, precision)
    spec = make_exported_spec(own, source, converted, precision)
    report = output.with_name(output.name + REPORT_SUFFIX)
    with (
        whole_file(output, *COMPANIONS.get(output.suffix, ())) as temporary,
        whole_file(report) as temporary_report,  # renamed first: no model without its report
        named(output),
    ):
        converted.write(spec, temporary)
        parity = compare_detectors(
            own.run,
            open_cells(temporary, spec, engine=target.engine),
            spec,
            golden_images(),
            photographs,
            checkpoint.run if precision == "int8" else own.run,
            gate="default" if enforced else "off",
        )
        failures = find_failures(parity, THRESHOLDS[precision])
        if failures and enforced:
            raise ParityError(
                f"{output} is not kept, it differs from {source}: {'; '.join(failures)}"
            )
        spec = replace(spec, parity=parity)
        converted.write(spec, temporary)
        if read_detector_spec(temporary) != spec:
            raise ModelError(f"{output}: the spec read back from the file isn't the one written")
        size = model_size(temporary)
        done = ExportedDetector(output, format, precision, size, report, parity)
        document = json.dumps(done.to_dict(), indent=2, allow_nan=False) + "\n"
        temporary_report.write_text(document, "utf-8")
    return done


def make_exported_spec(
    own: DetectorCheckpoint, source: Path, converted: ConvertedModel, precision: Precision
) -> DetectorSpec:
    """The spec of a file before its comparison: golden samples, source, tools.

    Args:
        own: the checkpoint of the file's precision.
        source: its file.
        converted: the converted model.
        precision: of the file.
    """
    quantization = Quantization(precision, converted.weights)
    metrics = own.spec.metrics
    if precision == "int8":
        quantization = replace(own.spec.quantization, precision="int8", weights="int8")
        metrics = ()  # the float model's don't hold for int8
    samples = (DetectorSample.encode(one, own.run(one[None])[0]) for one in golden_images())
    return replace(
        own.spec,
        quantization=quantization,
        metrics=metrics,
        golden=tuple(samples),
        source_sha256=sha256(source),
        ncnn=converted.ncnn,
        tools={**own.spec.tools, "torch": torch.__version__, **converted.tools},
    )
