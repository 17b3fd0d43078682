"""`fer evaluate`: what one model answers to a split, or how far several lie apart."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fer_edge.commands.console import print_json, show
from fer_edge.commands.options import (
    DATA,
    PATH,
    Backend,
    Device,
    Split,
    backend_option,
    device_option,
    json_option,
    skip_bad_option,
    split_option,
)
from fer_edge.errors import ConfigError, requires_extra


@click.command
@click.argument("models", type=PATH, nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", type=PATH, required=True, help=DATA)
@split_option
@click.option(
    "--output", type=PATH, help="Folder; MODEL-evaluation here. Of several: their parent."
)
@backend_option
@device_option
@click.option(
    "--without-duplicates",
    is_flag=True,
    help="Leave out faces that train holds a near copy of.",
)
@click.option("--ferplus", type=PATH, help="FER+ votes (fer2013new.csv): what people answered.")
@skip_bad_option
@json_option
def evaluate(
    models: tuple[Path, ...],
    data: Path,
    split: Split,
    output: Path | None,
    backend: Backend,
    device: Device,
    without_duplicates: bool,
    ferplus: Path | None,
    skip_bad: bool,
    as_json: bool,
) -> None:
    """Accuracy, per-class figures, confusion and calibration, with pictures.

    MODEL: checkpoint or exported file. Of several, such as runs with other seeds, also how far
    their figures lie apart.
    """
    if without_duplicates and split == "train":
        raise ConfigError("--without-duplicates leaves out copies of train: --split val or test")
    if len({model.absolute() for model in models}) < len(models):
        raise ConfigError("a model is named twice")
    with requires_extra("train"):
        from fer_edge.render.reports import people_tables, report_tables, spread_table
        from fer_edge.train.evaluation import plots  # noqa: F401 - missing, it is said first
        from fer_edge.train.evaluation.annotator_agreement import compare
        from fer_edge.train.evaluation.evaluate import (
            ask,
            evaluate,
            matched,
            open_model,
            write_report,
        )
        from fer_edge.train.evaluation.seed_variance import folder_names, spreads

    with requires_extra("train"):  # of a checkpoint
        opened = [open_model(model, backend=backend, device=device) for model in models]
    asked = {
        side: ask(
            data,
            split,
            side,
            skip_bad=skip_bad,
            without_duplicates=without_duplicates,
            ferplus=ferplus,
        )
        for side in {model.spec.input.side for model in opened}
    }
    names = [models[0].name] if len(models) == 1 else folder_names(models)
    parent = Path() if output is None else output
    reports = []
    for model, name in zip(opened, names, strict=True):
        question = asked[model.spec.input.side]
        faces = matched(question.data, question.faces, model.spec, model.name)
        report = evaluate(model, faces, split, question.left_out)
        people = None if question.votes is None else compare(report, question.votes)
        alone = output is not None and len(models) == 1
        folder = parent if alone else parent / f"{name}-evaluation"
        files = write_report(report, faces, folder, people)
        if as_json:
            print_json(report.to_dict() | ({"people": people.to_dict()} if people else {}))
        else:
            show(report_tables(report))
            show(people_tables(people) if people else [])
        print("wrote " + ", ".join(map(str, files)), file=sys.stderr)
        reports.append(report)
    if len(reports) < 2:
        return
    found = spreads(reports)
    if as_json:
        apart = {name: spread.to_dict() for name, spread in found.items()}
        print_json(
            {"models": [report.model for report in reports], "split": split, "spread": apart}
        )
    else:
        show([spread_table(reports, found)])
