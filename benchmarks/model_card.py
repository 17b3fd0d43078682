"""Update the figures of the package's models in README.md and docs/model-card.md, and base's plot.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.model_card fer2013new.csv

The argument is the file of FER+'s votes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.lib.result_tables import to_markdown
from fer_edge.runtime.formats.model_files import BUNDLED, bundled
from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.ferplus import read_votes
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation import plots
from fer_edge.train.evaluation.annotator_agreement import (
    AnnotatorAgreement,
    VoteSupport,
    compare_with_annotators,
)
from fer_edge.train.evaluation.evaluate import evaluate, match_labels, open_model
from fer_edge.train.evaluation.metrics import Report, wilson_interval

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Shipped:
    """A model of the package and how it predicts each part of FER2013.

    Attributes:
        title: name and version.
        reports: of PublicTest, PrivateTest, and PrivateTest without near copies.
    """

    title: str
    reports: dict[str, Report]

    @property
    def test(self) -> Report:
        return self.reports["PrivateTest (test)"]


def measure(name: str, data: FaceData, copies: npt.NDArray[np.bool_]) -> Shipped:
    """Evaluate a model; `copies` marks the test faces that are near copies of train's."""
    model = open_model(bundled("model", name), threads=1)
    val, test = (match_labels(data, data.split(s), model.spec, model.name) for s in ("val", "test"))
    reports = {
        "PublicTest (validation)": evaluate(model, val, "val"),
        "PrivateTest (test)": evaluate(model, test, "test"),
        "PrivateTest without near copies of train": evaluate(model, test.take(~copies), "test"),
    }
    return Shipped(model.spec.title, reports)


def span(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {high:.1%}"


def headline(models: Sequence[Shipped]) -> str:
    """One row for each model: accuracies, and the calibration error on PrivateTest."""
    columns = ["model", "PublicTest", "PrivateTest", "95 % interval", "without near copies"]
    rows = []
    for model in models:
        metrics = [report.metrics() for report in model.reports.values()]
        val, test, distinct = (f"{one.accuracy:.2%}" for one in metrics)
        interval = span(*model.test.accuracy_interval)
        rows.append([model.title, val, test, interval, distinct, f"{metrics[1].ece:.3f}"])
    return to_markdown([*columns, "calibration error"], rows)


def summary(models: Sequence[Shipped]) -> str:
    columns = ["model", "split of FER2013", "faces", "accuracy", "95 % interval", "balanced"]
    columns += ["macro F1", "calibration error", "if calibrated"]
    rows = []
    for model in models:
        for split, report in model.reports.items():
            m = report.metrics()
            cells = [model.title, split, f"{m.n:,}", f"{m.accuracy:.2%}"]
            cells += [span(*report.accuracy_interval), f"{m.balanced_accuracy:.2%}"]
            cells += [f"{m.macro_f1:.3f}", f"{m.ece:.3f}", f"{report.ece_if_calibrated.mean:.3f}"]
            rows.append(cells)
    return to_markdown(columns, rows)


def per_label(models: Sequence[Shipped]) -> str:
    columns = ["model", "label", "precision", "recall", "95 % interval", "F1", "faces"]
    rows = []
    for model in models:
        report = model.test
        confusions = report.top_confusions(limit=len(report.labels) ** 2)
        for label, row in report.per_class().items():
            worst = next(f"{guess} ({n})" for truth, guess, n in confusions if truth == label)
            recall = span(*wilson_interval(row["recall"], int(row["support"])))
            cells = [model.title, label, f"{row['precision']:.1%}", f"{row['recall']:.1%}", recall]
            rows.append([*cells, f"{row['f1']:.1%}", f"{row['support']:.0f}", worst])
    return to_markdown([*columns, "most frequent error"], rows)


def annotators(models: Sequence[Shipped], ferplus: Path, data: FaceData) -> str:
    votes = read_votes(ferplus, data)["test"]
    found = [compare_with_annotators(one.test, votes) for one in models]
    texts: dict[str, Callable[[AnnotatorAgreement], str]] = {
        f"accuracy on the majority label of ten annotators ({found[0].n:,} faces have one)": (
            lambda one: f"{one.accuracy:.2%} ({span(*one.accuracy_interval)})"
        ),
        "FER2013's labels on the majority label": lambda one: f"{one.label_accuracy:.2%}",
        "one random annotator on the majority label": lambda one: f"{one.annotator_accuracy:.2%}",
        "one random annotator on FER2013's labels": (
            lambda one: f"{one.annotator_label_accuracy:.2%}"
        ),
        "errors of the model": lambda one: f"{one.errors:,}",
        "of these predictions: the majority label": lambda one: f"{one.errors_on_majority:.1%}",
        "of these predictions: chosen by one or more annotators, by two or more": (
            lambda one: shares(one.error_support)
        ),
        "the same predictions on any face of that label": lambda one: shares(one.chance_support),
        "FER2013's labels of these faces: chosen by one or more, by two or more": (
            lambda one: shares(one.label_support)
        ),
    }
    rows = [[name, *map(text, found)] for name, text in texts.items()]
    return to_markdown(["on PrivateTest", *(one.title for one in models)], rows)


def shares(support: VoteSupport) -> str:
    return f"{support.by_one:.1%}, {support.by_two:.1%}"


def rewrite(path: Path, blocks: dict[str, str]) -> None:
    text = path.read_text("utf-8")
    for name, block in blocks.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        block = re.sub(r"(\d)%", r"\1 %", block)
        text, count = re.subn(pattern, rf"\g<1>{block}\n\g<2>", text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{path}: expected one block '<!-- {name} -->', found {count}")
    path.write_text(text, "utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or "FER2013" not in os.environ:
        raise SystemExit(__doc__)
    data = read_data(Path(os.environ["FER2013"]))
    copies = duplicates.find_near_copies(data.split("test"), data.split("train"))
    models = [measure(name, data, copies) for name in BUNDLED]
    rewrite(ROOT / "README.md", {"figures": headline(models)})
    blocks = {
        "figures": summary(models),
        "labels": per_label(models),
        "people": annotators(models, Path(sys.argv[1]), data),
    }
    rewrite(ROOT / "docs" / "model-card.md", blocks)
    picture = ROOT / "docs" / "pictures" / "reliability.png"
    plots.save_figure(plots.plot_reliability(models[0].test), picture)
