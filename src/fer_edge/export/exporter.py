"""Exports a checkpoint to a file, which is kept only if it reproduces PyTorch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fer_edge.atomic import named, whole_file
from fer_edge.errors import ConfigError, ModelError, ParityError
from fer_edge.export.exportable import ConvertedModel
from fer_edge.export.formats import FORMATS, Format
from fer_edge.export.golden import golden_samples
from fer_edge.export.html_report import render_html_report
from fer_edge.export.int8_savings import Savings, measure_latencies
from fer_edge.export.int8_search import default_int8_recipe, quantize
from fer_edge.export.judge import compare_all, reference_models, threshold_kind
from fer_edge.export.output import check_output, check_replaceable
from fer_edge.export.parity import Parity
from fer_edge.export.thresholds import ADVICE, DEFAULT_GATE, TRAIN_QAT, Gate
from fer_edge.runtime.formats.model_files import COMPANIONS, model_size
from fer_edge.spec import GateState, Int8Recipe, ModelSpec, Precision, Quantization
from fer_edge.train.data.dataset import FaceData, Split
from fer_edge.train.evaluation.evaluate import Model, Predict, open_model
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.progress import ProgressCallback, ignore_progress

REPORT_SUFFIX = ".parity.json"
HTML_SUFFIX = ".parity.html"


@dataclass(frozen=True)
class Exported:
    """An exported file and its comparisons with PyTorch.

    Attributes:
        path: the file that the engine opens.
        format: a key of `FORMATS`.
        size: bytes on disk of all its files.
        report, html_report: the comparisons as JSON and as HTML.
        spec: the spec in the file.
        parities: on the golden samples, then on a split where there was data; all passed unless
            the gate was off.
        savings: what an int8 file saves against fp32, else None.
    """

    path: Path
    format: str
    size: int
    report: Path
    html_report: Path
    spec: ModelSpec
    parities: tuple[Parity, ...]
    savings: Savings | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `fer export --json` prints it; `parity` is the comparison of the most faces."""
        return {
            "path": str(self.path),
            "format": self.format,
            "precision": self.spec.quantization.precision,
            "bytes": self.size,
            "report": str(self.report),
            "html_report": str(self.html_report),
            "gate": self.spec.parity.gate if self.spec.parity else None,
            "parity": self.parities[-1].to_dict(),
            "golden": self.parities[0].to_dict(),
            "savings": self.savings.to_dict() if self.savings else None,
        }


def export_checkpoint(
    source: Path,
    output: Path,
    data: FaceData | None = None,
    *,
    split: Split = "test",
    format: str = "onnx",
    precision: Precision = "fp32",
    gate: Gate = DEFAULT_GATE,
    recipe: Int8Recipe | None = None,
    force: bool = False,
    on_progress: ProgressCallback = ignore_progress,
    open_file: Callable[[Path, ModelSpec], Predict] | None = None,
) -> Exported:
    """Export the checkpoint `source` to `output` and write its parity reports beside it.

    The file is written under a temporary name, opened by its engine and compared with PyTorch on
    the golden samples and, where there is data, on every face of the split. It gets its final name
    only if it reaches the thresholds, or if the gate is off, which its spec then records.

    Args:
        source: a checkpoint.
        output: the file, with the suffix of its format; see `resolve_output`.
        data: what to compare on besides the golden samples; PTQ also calibrates on its train split.
        split: the split of the data to compare on.
        format: a key of `FORMATS`.
        precision: "fp32", "fp16" or "int8": the checkpoint's QAT model, where it holds one and
            there is no recipe, else PTQ of the float model.
        gate: the thresholds, and whether a file that misses one is refused.
        recipe: how to quantize to int8 (PTQ); None: `default_int8_recipe`.
        force: replace an existing file that `check_output` would protect.
        on_progress: called after each step of PTQ's calibration.
        open_file: opens the written file for the comparison, with its spec; None: its engine does.

    Raises:
        ParityError: the file missed a threshold; nothing is left behind.
        ConfigError: the recipe needs training, the format lacks the precision, or an existing file
            may not be replaced.
        ModelError, SpecError, DataError: the checkpoint or the data can't be used.
        MissingExtraError: a package of the format isn't installed.
        OSError: a file can't be written.
    """
    if recipe and recipe.trained:
        raise ConfigError("the int8 recipe needs training, an export only calibrates")
    target, savings = FORMATS[format], None
    if precision not in target.precisions:
        raise ConfigError(f"{format} has no {precision}: {target.no_int8}")
    if force:
        check_replaceable(output)
    else:
        check_output(output, source, data, split=split, precision=precision, gate=gate)
    convert = target.load_converter()
    checkpoint = checkpoints.load(source)
    if precision == "int8" and (recipe or not checkpoint.quantized_model):
        chosen = recipe or default_int8_recipe(checkpoint)
        checkpoint = quantize(checkpoint, data, chosen, on_progress)
    converted = convert(checkpoint, precision)
    spec = exported_spec(checkpoint, source, converted, precision)
    reference, float_model = reference_models(checkpoint, str(source), spec)
    report, html = (output.with_name(output.name + end) for end in (REPORT_SUFFIX, HTML_SUFFIX))
    with (
        whole_file(output, *COMPANIONS.get(output.suffix, ())) as temporary,
        whole_file(report) as temporary_report,  # renamed first: no model without its reports
        whole_file(html) as temporary_html,
        named(output),
    ):
        converted.write(spec, temporary)
        if open_file is None:
            predict = open_model(temporary, verify=False).predict
        else:
            predict = open_file(temporary, spec)
        exported = Model(str(output), spec, predict)
        kind = threshold_kind(exported, float_model)
        parities = compare_all(
            reference,
            exported,
            data,
            split,
            thresholds=gate.thresholds(kind),
            float_model=float_model,
        )
        failures = [failure for parity in parities for failure in parity.failures]
        if failures and gate.enforced:
            advice = TRAIN_QAT if recipe else ADVICE[kind]
            raise ParityError(
                f"{output} is not kept, it differs from {source}: {'; '.join(failures)}. "
                f"What to try: {advice}"
            )
        spec = _with_proof(spec, parities, gate.state(kind))
        converted.write(spec, temporary)
        if open_model(temporary, verify=False).spec != spec:
            raise ModelError(f"{output}: the spec read back from the file isn't the one written")
        if precision == "int8":
            savings = _savings(temporary, checkpoint, target, spec)
        total = model_size(temporary)
        done = Exported(output, format, total, report, html, spec, tuple(parities), savings)
        document = json.dumps(done.to_dict(), indent=2, allow_nan=False) + "\n"
        temporary_report.write_text(document, "utf-8")
        sizes = {"file": total, "checkpoint": source.stat().st_size}
        text = render_html_report(output.name, spec, done.parities, sizes, savings)
        temporary_html.write_text(text, "utf-8")
    return done


def exported_spec(
    checkpoint: Checkpoint, source: Path, converted: ConvertedModel, precision: Precision
) -> ModelSpec:
    """The spec of a file of `checkpoint` before its comparison: golden samples, source, tools."""
    if precision == "int8":
        model = checkpoint.int8()
        quantization = replace(model.spec.quantization, precision="int8", weights="int8")
        metrics = checkpoint.spec.metrics[:0]  # the float model's metrics don't hold for int8
    else:
        model, metrics = checkpoint, checkpoint.spec.metrics
        quantization = Quantization(precision, converted.weights)
    return replace(
        model.spec,
        quantization=quantization,
        metrics=metrics,
        golden=golden_samples(model.predict, checkpoint.spec.input.side),
        source_sha256=checkpoints.sha256(source),
        ncnn=converted.ncnn,
        tools={**checkpoint.spec.tools, "torch": torch.__version__, **converted.tools},
    )


def _savings(path: Path, checkpoint: Checkpoint, target: Format, spec: ModelSpec) -> Savings:
    """Compare the file with the fp32 file of the same checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        fp32 = Path(folder, "fp32").with_suffix(target.suffix)
        target.load_converter()(checkpoint, "fp32").write(spec, fp32)
        latencies = measure_latencies(
            [open_model(file, threads=1, verify=False) for file in (path, fp32)]
        )
        return Savings(model_size(path), model_size(fp32), *latencies)


def _with_proof(spec: ModelSpec, parities: Sequence[Parity], gate: GateState) -> ModelSpec:
    """The spec with the comparison of the most faces and the metrics measured on them."""
    metrics = [parity.metrics for parity in parities if parity.metrics]
    measured = [parity.faces for parity in parities]
    summary = parities[-1].summary(gate)
    return replace(
        spec,
        parity=replace(summary, passed=all(parity.passed for parity in parities)),
        metrics=(*(m for m in spec.metrics if m.split not in measured), *metrics),
    )
