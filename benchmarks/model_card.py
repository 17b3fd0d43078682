"""Update base's figures in README.md and docs/model-card.md, and its plot.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.model_card fer2013new.csv

The argument is the file of FER+'s votes.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.ferplus import read_votes
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation import annotator_agreement, plots
from fer_edge.train.evaluation.evaluate import evaluate, match_labels, open_model
from fer_edge.train.evaluation.metrics import Report, wilson_interval

ROOT = Path(__file__).parent.parent


def reports(data: FaceData) -> dict[str, Report]:
    model = open_model(bundled("model"), threads=1)
    val, test = (match_labels(data, data.split(s), model.spec, model.name) for s in ("val", "test"))
    copies = duplicates.find_near_copies(test, data.split("train"))
    return {
        "PublicTest (validation)": evaluate(model, val, "val"),
        "PrivateTest (test)": evaluate(model, test, "test"),
        "PrivateTest without near copies of train": evaluate(model, test.take(~copies), "test"),
    }


def span(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {high:.1%}"


def summary(found: dict[str, Report]) -> str:
    lines = [
        "| split of FER2013 | faces | accuracy | 95 % interval | balanced | macro F1 | "
        "calibration error | if calibrated |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, report in found.items():
        m = report.metrics()
        lines.append(
            f"| {name} | {m.n:,} | {m.accuracy:.2%} | {span(*report.accuracy_interval)} | "
            f"{m.balanced_accuracy:.2%} | {m.macro_f1:.3f} | {m.ece:.3f} | "
            f"{report.ece_if_calibrated.mean:.3f} |"
        )
    return "\n".join(lines)


def per_label(report: Report) -> str:
    lines = [
        "| label | precision | recall | 95 % interval | F1 | faces | most frequent error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    confusions = report.top_confusions(limit=len(report.labels) ** 2)
    for label, row in report.per_class().items():
        worst = next(f"{guess} ({n})" for truth, guess, n in confusions if truth == label)
        lines.append(
            f"| {label} | {row['precision']:.1%} | {row['recall']:.1%} | "
            f"{span(*wilson_interval(row['recall'], int(row['support'])))} | {row['f1']:.1%} | "
            f"{row['support']:.0f} | {worst} |"
        )
    return "\n".join(lines)


def annotators(report: Report, ferplus: Path, data: FaceData) -> str:
    found = annotator_agreement.compare_with_annotators(report, read_votes(ferplus, data)["test"])
    lines = [
        "| on PrivateTest | |",
        "| --- | --- |",
        f"| accuracy on the majority label of ten annotators ({found.n:,} faces have one) | "
        f"{found.accuracy:.2%} ({span(*found.accuracy_interval)}) |",
        f"| FER2013's labels on the majority label | {found.label_accuracy:.2%} |",
        f"| one random annotator on the majority label | {found.annotator_accuracy:.2%} |",
        f"| one random annotator on FER2013's labels | {found.annotator_label_accuracy:.2%} |",
        f"| the model's {found.errors:,} errors: predictions that are the majority label | "
        f"{found.errors_on_majority:.1%} |",
        f"| predictions chosen by one or more annotators, by two or more | "
        f"{found.error_support.by_one:.1%}, {found.error_support.by_two:.1%} |",
        f"| the same predictions on any face of that label | "
        f"{found.chance_support.by_one:.1%}, {found.chance_support.by_two:.1%} |",
        f"| FER2013's labels of these faces: chosen by one or more, by two or more | "
        f"{found.label_support.by_one:.1%}, {found.label_support.by_two:.1%} |",
    ]
    return "\n".join(lines)


def rewrite(path: Path, blocks: dict[str, str]) -> None:
    text = path.read_text("utf-8")
    model = read_spec(bundled("model")).title
    for name, block in blocks.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        block = re.sub(r"(\d)%", r"\1 %", block)
        text, count = re.subn(
            pattern, rf"\g<1>{block}\n\nModel: {model}.\n\g<2>", text, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"{path}: expected one block '<!-- {name} -->', found {count}")
    path.write_text(text, "utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or "FER2013" not in os.environ:
        raise SystemExit(__doc__)
    data = read_data(Path(os.environ["FER2013"]))
    found = reports(data)
    test = found["PrivateTest (test)"]
    rewrite(ROOT / "README.md", {"figures": summary(found)})
    blocks = {
        "figures": summary(found),
        "labels": per_label(test),
        "people": annotators(test, Path(sys.argv[1]), data),
    }
    rewrite(ROOT / "docs" / "model-card.md", blocks)
    plots.save_figure(plots.plot_reliability(test), ROOT / "docs" / "pictures" / "reliability.png")
