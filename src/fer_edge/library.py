"""Training, evaluation and export as functions, as `fer train`, `evaluate` and `export` do them.

```python
import fer_edge

checkpoint = fer_edge.train("my_faces/", "runs/mine", architecture="mobilenet_v2", epochs=20)
report = fer_edge.evaluate(checkpoint, "my_faces/")
exported = fer_edge.export(checkpoint, format="onnx", precision="int8", data="my_faces/")
print(report.accuracy, exported.path)
```

PyTorch and the other heavy packages are imported inside the functions, so this module loads in the
base install, where a call names the extra to install.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fer_edge.errors import ConfigError, requires_extra
from fer_edge.spec import Precision

if TYPE_CHECKING:
    from fer_edge.export.exporter import Exported
    from fer_edge.train.data.dataset import Split
    from fer_edge.train.evaluation.metrics import Report


def train(
    data: str | Path | None = None,
    output: str | Path = "run",
    *,
    recipe: str | None = None,
    resume: bool = False,
    devices: int = 1,
    **settings: object,
) -> Path:
    """Fine-tune a network on faces, or resume a run.

    Args:
        data: FER2013 (`.csv`, `.csv.gz`, `.tar.gz`, `.zip`) or a folder of class folders; None when
            a run is resumed with its own data.
        output: the run's folder; it gets the settings, metrics, curves and checkpoints.
        recipe: name of a recipe in the package, or path of a TOML file.
        resume: continue the run in `output` after its last finished epoch.
        devices: number of processes on this machine, one GPU each where there are GPUs.
        settings: fields of `fer_edge.train.config.TrainConfig`, which override the recipe's.

    Returns:
        The path of the run's `model.safetensors`.

    Raises:
        ConfigError: a setting is unknown or out of range, or the folder holds a run already.
        DataError: the data cannot be read or has no validation split.
        MissingExtraError: the extra `train` is not installed.
    """
    with requires_extra("train"):
        from fer_edge.train.fit import fit
        from fer_edge.train.recipe_files import read_recipe
        from fer_edge.train.run_folder import resolve_config

    if data is not None:
        settings["data"] = data
    base = read_recipe(recipe) if recipe else None
    config = resolve_config(settings, Path(output), resume=resume, recipe=base)
    return fit(config, Path(output), resume=resume, devices=devices).path


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    split: Split = "test",
    ignore_classes: Sequence[str] = (),
    class_map: str | Path | None = None,
    faces: Literal["whole", "detect"] = "whole",
    detector: str | Path | None = None,
    backend: str = "auto",
    device: str = "cpu",
    skip_bad: bool = False,
) -> Report:
    """Measure a checkpoint or an exported model on a split.

    Args:
        model: "base", the model in the package; a checkpoint (`.safetensors`), a run's folder or
            an exported file.
        data: see `train`; but class folders without `train`, `val` and `test` are all test, unless
            the model was trained on them: then test is what training held out.
        split: "train", "val" or "test".
        ignore_classes: names of classes whose images are left out.
        class_map: TOML file with the labels of classes; "-" leaves a class out.
        faces: "whole": each image is one face; "detect": the largest face of each photograph is
            found, and photographs without one are left out.
        detector: see `Recognizer.load`.
        backend: the engine of an exported file; "auto" takes the first that is installed.
        device: the device of an exported file.
        skip_bad: leave damaged rows and images out instead of failing.

    Returns:
        Accuracy, balanced accuracy, macro F1, calibration error and confusion, each in [0, 1].

    Raises:
        ModelError, SpecError, DeviceError: the model cannot be used here.
        DataError: the data cannot be read, lacks the split, or does not fit the model.
        ConfigError: an argument contradicts another or the data.
        MissingExtraError: the extra `train` is not installed.
    """
    with requires_extra("train"):
        from fer_edge.train.data.class_map import read_class_map
        from fer_edge.train.evaluation.evaluate import evaluate_file
        from fer_edge.train.run_folder import find_checkpoint

        if faces not in ("whole", "detect"):
            raise ConfigError(f"faces is {faces!r}: choose whole or detect")
        return evaluate_file(
            find_checkpoint(model, "model"),
            Path(data),
            split,
            backend=backend,
            device=device,
            class_map=read_class_map(Path(class_map) if class_map else None, ignore_classes),
            find_faces=faces == "detect",
            detector=detector,
            skip_bad=skip_bad,
        )


def export(
    checkpoint: str | Path | None = None,
    *,
    format: str = "onnx",
    precision: Precision = "fp32",
    data: str | Path | None = None,
    split: Split = "test",
    output: str | Path | None = None,
    name: str | None = None,
    force: bool = False,
    skip_bad: bool = False,
) -> Exported:
    """Export a checkpoint and keep the file only if it predicts as PyTorch does.

    Args:
        checkpoint: "base", the default; a `.safetensors` file of fer-edge, or a run's folder.
        format: "onnx", "openvino" or "ncnn".
        precision: "fp32", "fp16" or "int8", where the format has it.
        data: faces to compare on besides the golden samples; see `train`.
        split: of the data.
        output: a file or a folder; None: the run's folder, or the current folder for a checkpoint
            outside a run.
        name: replaces the model's name in the default file name.
        force: replace an existing file of another checkpoint or with a stronger proof or one on
            another split.
        skip_bad: leave damaged rows and images out instead of failing.

    Returns:
        The file, its report, and the comparison with PyTorch.

    Raises:
        ParityError: the file missed a threshold and was not kept.
        ConfigError: the format has no such precision, or an existing file may not be replaced.
        ModelError, SpecError, DataError: the checkpoint or the data cannot be used.
        MissingExtraError: the extra `export` is not installed.
    """
    with requires_extra("export"):
        from fer_edge.export.exporter import export_checkpoint
        from fer_edge.export.output import resolve_output
        from fer_edge.runtime.formats.spec_reader import read_spec
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.run_folder import find_checkpoint

    source = find_checkpoint(checkpoint)
    folder = None if output is None else Path(output)
    path = resolve_output(source, format=format, precision=precision, output=folder, name=name)
    side = read_spec(source).input.side
    faces = None if data is None else read_data(Path(data), side=side, skip_bad=skip_bad)
    return export_checkpoint(
        source, path, faces, split=split, format=format, precision=precision, force=force
    )
