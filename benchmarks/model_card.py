"""Rewrite the figures of the bundled model in README.md and docs/model-card.md.

FER2013=/path/to/fer2013.tar.gz python benchmarks/model_card.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from fer_edge.runtime.bundled import bundled
from fer_edge.train import duplicates
from fer_edge.train.datasets import read_data
from fer_edge.train.evaluate import evaluate, matched, open_model
from fer_edge.train.metrics import Report

ROOT = Path(__file__).parent.parent


def reports() -> dict[str, Report]:
    model = open_model(bundled("model"), threads=1)
    data = read_data(Path(os.environ["FER2013"]))
    val, test = (matched(data, data.split(s), model.spec, model.name) for s in ("val", "test"))
    copies = duplicates.near(test, data.split("train"))
    return {
        "PublicTest (validation)": evaluate(model, val, "val"),
        "PrivateTest (test)": evaluate(model, test, "test"),
        "PrivateTest without near copies of train": evaluate(model, test.take(~copies), "test"),
    }


def summary(found: dict[str, Report]) -> str:
    lines = [
        "| split of FER2013 | faces | accuracy | balanced | macro F1 | calibration error |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, report in found.items():
        m = report.metrics()
        lines.append(
            f"| {name} | {m.n:,} | {m.accuracy:.2%} | {m.balanced_accuracy:.2%} | "
            f"{m.macro_f1:.3f} | {m.ece:.3f} |"
        )
    return "\n".join(lines)


def per_label(report: Report) -> str:
    lines = [
        "| label | precision | recall | F1 | faces | most often taken for |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    confusions = report.top_confusions(most=len(report.labels) ** 2)
    for label, row in report.per_class().items():
        worst = next(f"{answer} ({n})" for truth, answer, n in confusions if truth == label)
        lines.append(
            f"| {label} | {row['precision']:.1%} | {row['recall']:.1%} | {row['f1']:.1%} | "
            f"{row['support']:.0f} | {worst} |"
        )
    return "\n".join(lines)


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
    found = reports()
    rewrite(ROOT / "README.md", {"figures": summary(found)})
    labels = per_label(found["PrivateTest (test)"])
    rewrite(ROOT / "docs" / "model-card.md", {"figures": summary(found), "labels": labels})
