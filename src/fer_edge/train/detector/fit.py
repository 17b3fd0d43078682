"""A training run of a detector, from its settings to `model.safetensors`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import Callback

from fer_edge.atomic import write_text
from fer_edge.errors import ModelError
from fer_edge.spec import Int8Recipe
from fer_edge.train.calibrate import calibrate
from fer_edge.train.callbacks import EmaWeights, EpochLog, StepProgress, read_log
from fer_edge.train.detector import checkpoint as checkpoints
from fer_edge.train.detector.batches import make_loader
from fer_edge.train.detector.checkpoint import DetectorCheckpoint
from fer_edge.train.detector.config import VALIDATION_SIDE, DetectorConfig
from fer_edge.train.detector.finalize import add_quantized_detector, finalize_detector
from fer_edge.train.detector.inputs import check_inputs, describe_inputs, save_inputs
from fer_edge.train.detector.labels import Photograph, read_labels
from fer_edge.train.detector.module import METRIC, LitDetector
from fer_edge.train.detector.network import HEADS, Widths, build_detector
from fer_edge.train.detector.pieces import PieceDataset
from fer_edge.train.detector.whole import WholePhotographs, make_validation_loader
from fer_edge.train.evaluation import plots
from fer_edge.train.networks.pixel_model import is_finite
from fer_edge.train.networks.quantized import quantize_model, remove_redundant_activations
from fer_edge.train.progress import ProgressCallback, ignore_progress
from fer_edge.train.run_checkpoints import FOLDER, ResumePoint, RunCheckpoints, find_resume_point
from fer_edge.train.run_folder import CONFIG_FILE, MODEL_FILE
from fer_edge.train.trainer import hold_run, open_trainer

_CALIBRATION_PIECES = 192

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectorFit:
    """What a run trained.

    Attributes:
        path: path of `model.safetensors`.
        checkpoint: its content.
    """

    path: Path
    checkpoint: DetectorCheckpoint


def fit_detector(
    config: DetectorConfig,
    output: Path,
    *,
    resume: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> DetectorFit:
    """Train a detector with the settings of `config` in the run folder `output`.

    The folder gets the files that `fer_edge.train.fit.fit` describes; the metric is the average
    precision on the photographs of val. Pieces and every random number depend on the seed and the
    step alone, so a run that was killed and resumed ends like an unbroken one.

    With `config.weights`, the training starts from a trained detector, whose channels it keeps.
    With `config.qat_from`, a trained detector is quantized: its scales are calibrated on pieces,
    and weights are trained through the rounding.

    Args:
        config: the settings.
        output: the run's folder; created if missing.
        resume: continue after the last finished epoch.
        on_progress: called after each step of the training.

    Raises:
        ConfigError: the folder holds a run and `resume` is False, or the inputs of the resumed run
            changed.
        DataError: labels or photographs are missing or damaged.
        ModelError: a checkpoint can't be read, or the training diverged.
    """
    with hold_run(output, resume=resume):
        labels = read_labels(Path(config.labels))
        folder = Path(config.photographs)
        train, val = labels.split("train"), labels.split("val")
        pieces = PieceDataset(train, folder, config)
        photographs = WholePhotographs(val, folder, VALIDATION_SIDE)
        resumed = find_resume_point(output) if resume else None
        read_log(output / "metrics.csv", METRIC)  # a damaged one is found now
        source, recipe = None, None
        torch.manual_seed(config.seed)
        model, widths = build_detector(), astuple(Widths())
        if config.weights:
            initial = checkpoints.load(Path(config.weights))
            model, widths = initial.model, initial.spec.widths
        if config.qat_from:
            source = checkpoints.load(Path(config.qat_from))
            recipe = Int8Recipe("mse", HEADS, config.epochs)
            model = quantize_model(source.model, recipe)
        if resumed:
            resumed.check_network(model)
        inputs = describe_inputs(config, labels)
        if resume:
            check_inputs(inputs, output)
        if not resumed:
            save_inputs(inputs, output)
        write_text(output / CONFIG_FILE, config.to_json())
        _announce(train, val, resumed)
        if recipe and resumed:
            model.load_state_dict(resumed.weights)
            remove_redundant_activations(model)
        elif recipe:
            calibrate(model, _draw_images(train, config), recipe, on_progress)
        model.train()  # Lightning trains in the mode that it finds
        saved = RunCheckpoints(output / FOLDER, METRIC)
        callbacks: list[Callback] = [
            EpochLog(output / "metrics.csv", config.pieces, METRIC),
            StepProgress(on_progress),
            saved,
        ]
        if config.ema:
            callbacks.insert(0, EmaWeights(config.ema))
        batches = make_loader(pieces, config)
        module = LitDetector(model, config, len(batches) * config.epochs, photographs)
        module.to(memory_format=torch.channels_last)
        with open_trainer(
            output,
            asdict(config),
            callbacks,
            epochs=config.epochs,
            steps=len(batches),
            gradient_clip_val=10.0,
            accelerator="auto",
            devices=1,
        ) as run:
            run.trainer.fit(
                module,
                batches,
                make_validation_loader(photographs),
                ckpt_path=resumed.path if resumed else None,
                weights_only=True,
            )
            run.logger.log_hyperparams(asdict(config), {f"best_{METRIC}": saved.best})
        module.load_state_dict(saved.load_best()["state_dict"])
        trained = module.model.cpu().to(memory_format=torch.contiguous_format).eval()
        if not is_finite(trained):
            raise ModelError("the training diverged (weights are NaN): use a lower --lr")
        if source and recipe:
            checkpoint = add_quantized_detector(source, trained, recipe, config)
        else:
            checkpoint = finalize_detector(trained, widths, config, labels, photographs)
        path = output / MODEL_FILE
        checkpoints.save(checkpoint, path)
        if log := read_log(output / "metrics.csv", METRIC):
            plots.save_figure(plots.plot_curves(log, METRIC), output / "curves.png")
        return DetectorFit(path, checkpoint)


def _draw_images(train: Sequence[Photograph], config: DetectorConfig) -> npt.NDArray[np.uint8]:
    """Pieces for calibration, uint8 `[192, S, S]`.

    They are of a data set of their own, whose photographs don't stay in memory.
    """
    pieces = PieceDataset(train, Path(config.photographs), config)
    return np.stack([pieces[i].pixels for i in range(_CALIBRATION_PIECES)])


def _announce(
    train: Sequence[Photograph], val: Sequence[Photograph], resumed: ResumePoint | None
) -> None:
    if resumed:
        _LOG.info("resuming after epoch %d, from %s", resumed.epochs, resumed.path)
        return
    for name, photographs in (("train", train), ("val", val)):
        faces = sum(int(one.is_certain.sum()) for one in photographs)
        unsure = sum(len(one.boxes) for one in photographs) - faces
        counts = (len(photographs), faces, unsure)
        _LOG.info("%s: %d photographs, %d faces, %d unsure ones", name, *counts)
