"""Export, prove, and only then let the file out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fer_edge.atomic import named, whole_file
from fer_edge.errors import ConfigError, ModelError, ParityError
from fer_edge.export.exportable import Graph
from fer_edge.export.formats import FORMATS, Format
from fer_edge.export.gate import DEFAULT_GATE, Gate
from fer_edge.export.golden import golden_samples
from fer_edge.export.html_report import parity_page
from fer_edge.export.int8_savings import Worth, race
from fer_edge.export.int8_search import default_recipe, quantize
from fer_edge.export.judge import compare_all, kind_of, sides
from fer_edge.export.parity import Parity
from fer_edge.export.thresholds import ADVICE, TRAIN_IT
from fer_edge.runtime.formats.model_files import COMPANIONS, model_size
from fer_edge.spec import GateState, Int8Recipe, ModelSpec, Precision, Quantization
from fer_edge.train.data.dataset import FaceData, Split
from fer_edge.train.evaluation.evaluate import Model, open_model
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint

REPORT_SUFFIX = ".parity.json"
PAGE_SUFFIX = ".parity.html"


@dataclass(frozen=True)
class Exported:
    """A file that was kept, and its comparisons: golden samples first, then a split.

    Attributes:
        path: the file that the engine is given.
        format: a name of `FORMATS`.
        size: bytes on disk of all its files.
        report, page: the comparisons as JSON and as HTML.
        spec: what the file carries.
        parities: all passed, unless the gate was off.
        worth: of an int8 file: what it saves against fp32.
    """

    path: Path
    format: str
    size: int
    report: Path
    page: Path
    spec: ModelSpec
    parities: tuple[Parity, ...]
    worth: Worth | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `fer export --json` prints it; `parity` is that over the most faces."""
        return {
            "path": str(self.path),
            "format": self.format,
            "precision": self.spec.quantization.precision,
            "bytes": self.size,
            "report": str(self.report),
            "page": str(self.page),
            "gate": self.spec.parity.gate if self.spec.parity else None,
            "parity": self.parities[-1].to_dict(),
            "golden": self.parities[0].to_dict(),
            "worth": self.worth.to_dict() if self.worth else None,
        }


def export_file(
    source: Path,
    output: Path,
    data: FaceData | None = None,
    *,
    split: Split = "test",
    format: str = "onnx",
    precision: Precision = "fp32",
    gate: Gate = DEFAULT_GATE,
    recipe: Int8Recipe | None = None,
) -> Exported:
    """Write `output` from the checkpoint `source`, and its parity report and page beside it.

    The file is written under another name, loaded back by its engine and compared with PyTorch on
    the golden samples and, where there is data, on every face of the split. Only a file that
    reaches the gate's bars gets its name, or any when the gate is off; its spec says so.

    Args:
        source: a checkpoint.
        output: the file, with the suffix of its format.
        data: what to compare on besides the golden samples.
        split: of the data.
        format: a name of `FORMATS`.
        precision: "fp32", "fp16", or "int8": the checkpoint's trained twin, where it holds one and
            there is no recipe, else the float network rounded with ranges from train.
        gate: the bars, and whether a file that misses one is refused.
        recipe: how to round to int8; None: as `default_recipe` says.

    Raises:
        ParityError: a bar was missed; nothing is left behind.
        ConfigError: the recipe is one of trained rounding, or the format has no such precision.
        ModelError, SpecError, DataError: the checkpoint or the data can't be used.
        MissingExtraError: the format's package isn't installed.
    """
    if recipe and recipe.trained:
        raise ConfigError("a recipe with trained rounding isn't for rounding alone")
    form, worth = FORMATS[format], None
    if precision not in form.precisions:
        raise ConfigError(f"{format} has no {precision}: {form.no_int8}")
    build = form.builder()
    checkpoint = checkpoints.load(source)
    if precision == "int8" and (recipe or not checkpoint.twin):
        checkpoint = quantize(checkpoint, data, recipe or default_recipe(checkpoint))
    graph = build(checkpoint, precision)
    spec = exported_spec(checkpoint, source, graph, precision)
    reference, origin = sides(checkpoint, str(source), spec)
    report, page = (output.with_name(output.name + end) for end in (REPORT_SUFFIX, PAGE_SUFFIX))
    with (
        whole_file(output, *COMPANIONS.get(output.suffix, ())) as beside,
        whole_file(report) as report_beside,  # renamed before the model is: none without its own
        whole_file(page) as page_beside,
        named(output),
    ):
        graph.write(spec, beside)
        exported = Model(str(output), spec, open_model(beside).predict)
        kind = kind_of(exported, origin)
        bars = gate.bars(kind)
        parities = compare_all(reference, exported, data, split, bars=bars, origin=origin)
        failures = [failure for parity in parities for failure in parity.failures]
        if failures and gate.enforced:
            advice = TRAIN_IT if recipe else ADVICE[kind]
            raise ParityError(
                f"{output} doesn't answer as {source} and isn't kept: {'; '.join(failures)}. "
                f"What to try: {advice}"
            )
        spec = _proved(spec, parities, gate.state(kind))
        graph.write(spec, beside)
        if open_model(beside).spec != spec:
            raise ModelError(
                f"{output}: the spec doesn't come back from the file as it was written"
            )
        if precision == "int8":
            worth = _worth(beside, checkpoint, form, spec)
        total = model_size(beside)
        done = Exported(output, format, total, report, page, spec, tuple(parities), worth)
        document = json.dumps(done.to_dict(), indent=2, allow_nan=False) + "\n"
        report_beside.write_text(document, "utf-8")
        sizes = {"file": total, "checkpoint": source.stat().st_size}
        text = parity_page(output.name, spec, done.parities, sizes, worth)
        page_beside.write_text(text, "utf-8")
    return done


def exported_spec(
    checkpoint: Checkpoint, source: Path, graph: Graph, precision: Precision
) -> ModelSpec:
    """The spec that a file of `checkpoint` starts with: golden samples, source, tools."""
    if precision == "int8":
        asked = checkpoint.int8()
        quantization = replace(asked.spec.quantization, precision="int8", weights="int8")
        metrics = checkpoint.spec.metrics[:0]  # the float network's figures aren't this file's
    else:
        quantization = Quantization(precision, graph.weights)
        asked, metrics = checkpoint, checkpoint.spec.metrics
    return replace(
        asked.spec,
        quantization=quantization,
        metrics=metrics,
        golden=golden_samples(asked.predict, checkpoint.spec.input.side),
        source_sha256=checkpoints.sha256(source),
        ncnn=graph.ncnn,
        tools={**checkpoint.spec.tools, "torch": torch.__version__, **graph.tools},
    )


def _worth(path: Path, checkpoint: Checkpoint, form: Format, spec: ModelSpec) -> Worth:
    """Race the file against the fp32 file of the same checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "fp32").with_suffix(form.suffix)
        form.builder()(checkpoint, "fp32").write(spec, plain)
        times = race([open_model(one, threads=1) for one in (path, plain)])
        return Worth(model_size(path), model_size(plain), *times)


def _proved(spec: ModelSpec, parities: Sequence[Parity], gate: GateState) -> ModelSpec:
    """The spec with the comparison over the most faces and what the file reached on them."""
    metrics = [parity.metrics for parity in parities if parity.metrics]
    again = [parity.faces for parity in parities]
    summary = parities[-1].summary(gate)
    return replace(
        spec,
        parity=replace(summary, passed=all(parity.passed for parity in parities)),
        metrics=(*(m for m in spec.metrics if m.split not in again), *metrics),
    )
