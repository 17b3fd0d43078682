"""Write an evaluation's report to a folder; never replace the report of another evaluation."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from fer_edge.atomic import temporary_folder, write_text
from fer_edge.documents import read_json
from fer_edge.errors import ConfigError
from fer_edge.train.data.dataset import Faces
from fer_edge.train.evaluation.annotator_agreement import AnnotatorAgreement
from fer_edge.train.evaluation.corruption_report import CorruptionReport
from fer_edge.train.evaluation.metrics import Report
from fer_edge.train.run_folder import is_run_folder

REPORT = "report.json"

log = logging.getLogger(__name__)


def default_report_folder(
    model: Path, sha256: str, split: str, *, without_duplicates: bool = False
) -> Path:
    """Choose the folder of a report for which the user names none; `sha256` as `Model.sha256`.

    Returns:
        `<run>/evaluation/<file name>-<split>` for a file in a run's folder, otherwise
        `evaluation-<file name>-<split>-<first 8 digits of sha256>` in the current folder.
    """
    name = f"{model.name}-{split}{'-without-duplicates' if without_duplicates else ''}"
    if is_run_folder(model.parent):
        return model.parent / "evaluation" / name
    return Path(f"evaluation-{name}-{sha256[:8]}")


def check_report_folder(
    folder: Path,
    model_sha256: str,
    data_sha256: str,
    split: str,
    *,
    engine: str,
    device: str,
    has_votes: bool = False,
    has_corruptions: bool = False,
) -> None:
    """Check that a report may be written to `folder`; to be called before the evaluation, too.

    A report of the same model on the same faces under the same engine and device may be replaced,
    except that a report with FER+'s votes or with corruptions isn't replaced by one without.

    Args:
        folder: where the report is to be written; need not exist.
        model_sha256, data_sha256, split, engine, device: of the new report.
        has_votes: the report compares the model with FER+'s annotators.
        has_corruptions: the report has the model under corruptions.

    Raises:
        ConfigError: `folder` holds the report of another evaluation.
    """
    if not (folder / REPORT).exists():
        return
    previous = _read_report(folder / REPORT)
    model, its_split = previous.get("model"), previous.get("split")
    its_engine, its_device = (previous.get(key, "unknown") for key in ("engine", "device"))
    for is_same, what in (
        (previous.get("model_sha256") == model_sha256, f"of another model, {model}"),
        (its_split == split, f"on another split, {its_split}"),
        (
            previous.get("data_sha256") == data_sha256,
            "on other faces (other data, or another --faces)",
        ),
        (its_engine == engine, f"under another engine, {its_engine}"),
        (its_device == device, f"on another device, {its_device}"),
        (has_votes or "annotators" not in previous, "with FER+'s votes, which this one lacks"),
        (
            has_corruptions or "corruptions" not in previous,
            "with corruptions, which this one lacks",
        ),
    ):
        if not is_same:
            raise ConfigError(
                f"{folder}: holds a report {what}: name another folder with --output, or replace "
                "the report with --force"
            )


def report_document(
    report: Report,
    agreement: AnnotatorAgreement | None = None,
    corruptions: CorruptionReport | None = None,
) -> dict[str, Any]:
    """The document that `report.json` holds and `fer evaluate --json` prints."""
    document = report.to_dict()
    if agreement:
        document["annotators"] = agreement.to_dict()
    if corruptions:
        document["corruptions"] = corruptions.to_dict()
    return document


def write_report(
    report: Report,
    faces: Faces,
    folder: Path,
    agreement: AnnotatorAgreement | None = None,
    corruptions: CorruptionReport | None = None,
    *,
    force: bool = False,
) -> list[Path]:
    """Write `report.json`, `confusion.png`, `reliability.png` and `gallery.png`.

    All files are written beside `folder` first: if that fails, an existing report stays as it is.
    A label without a font is logged as a warning.

    Args:
        report: the result of `evaluate`.
        faces: the evaluated faces.
        folder: made if missing.
        agreement: adds `annotators.png`, and "annotators" to the JSON.
        corruptions: adds `corruptions.png`, and "corruptions" to the JSON.
        force: replace the report of another evaluation.

    Returns:
        The paths of the files.

    Raises:
        ConfigError: `folder` holds the report of another evaluation, and `force` is False.
        MissingExtraError: matplotlib isn't installed.
        OSError: the folder can't be written.
    """
    from fer_edge.train.evaluation import plots
    from fer_edge.train.evaluation.corruption_plot import plot_corruptions
    from fer_edge.train.evaluation.label_fonts import choose_fonts

    if not force:
        check_report_folder(
            folder,
            report.model_sha256,
            report.data_sha256,
            report.split,
            engine=report.engine,
            device=report.device,
            has_votes=agreement is not None,
            has_corruptions=corruptions is not None,
        )
    for hint in choose_fonts(report.labels).hints:
        log.warning("%s", hint)
    figures = {
        "confusion.png": plots.plot_confusion(report),
        "reliability.png": plots.plot_reliability(report),
        "gallery.png": plots.plot_gallery(report, faces.pixels),
    }
    if agreement:
        figures["annotators.png"] = plots.plot_annotators(report, agreement)
    if corruptions:
        figures["corruptions.png"] = plot_corruptions(report, corruptions)
    document = report_document(report, agreement, corruptions)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.parent, named_as=folder) as beside:
        for name, figure in figures.items():
            plots.save_figure(figure, beside / name)
        write_text(beside / REPORT, json.dumps(document, indent=2) + "\n")
        folder.mkdir(exist_ok=True)
        # the report comes last: where there is one, the figures beside it are its own
        (folder / REPORT).unlink(missing_ok=True)
        names = (*figures, REPORT)
        for name in names:
            (beside / name).replace(folder / name)
    return [folder / name for name in (REPORT, *figures)]


def _read_report(path: Path) -> dict[str, Any]:
    """The document, or {} for a file that isn't a report."""
    try:
        document = read_json(path)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
