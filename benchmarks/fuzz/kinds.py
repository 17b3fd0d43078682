"""The table of the kinds of input."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

from benchmarks.fuzz.judge import CommandOutput


class Target(Protocol):
    """A kind of input in a child process.

    It is made once with a folder for its own seeds; each case then has an empty folder.
    """

    def write(self, random: Random, folder: Path) -> Any:
        """Write the input of a case to `folder`; return what `run` needs."""

    def run(self, case: Any) -> CommandOutput | None:
        """Give the input to fer-edge; return what a command did. Exceptions are judged."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: name of the kind, and of its module in `benchmarks.fuzz.inputs`.
        what: what is damaged, for the table.
        weight: part of the time, relative to the other kinds.
        rate: cases per second, roughly; it shares out a given number of cases.
        has_torch: whether PyTorch is loaded, whose memory is not counted.
        may_die: whether the engine may end the process, as SECURITY.md says.
    """

    name: str
    what: str
    weight: float
    rate: float
    has_torch: bool = False
    may_die: bool = False
    module: str = ""

    def make_target(self, folder: Path) -> Target:
        """Make the target; `folder` is for its seeds."""
        target: Target = self.import_module().Target(folder)
        return target

    def import_module(self) -> Any:
        """Import the module of the kind, and with it whatever its cases need."""
        return importlib.import_module(self.module or f"benchmarks.fuzz.inputs.{self.name}")


KINDS = {
    kind.name: kind
    for kind in (
        Kind("images", "image files of every documented format", 3, 190),
        Kind("arrays", "arrays, Pillow images and bytes given to Recognizer", 1, 210),
        Kind("videos", "video files", 2, 35),
        Kind("names", "file names, links, pipes and folders", 2, 20),
        Kind("standard_input", "what `fer infer -` reads", 1, 25),
        Kind("onnx_models", "ONNX models under ONNX Runtime", 2, 80),
        Kind("golden_samples", "golden samples and logits inside a model", 1, 160),
        Kind("openvino_models", "OpenVINO models (IR)", 1, 25, may_die=True),
        Kind("ncnn_models", "ncnn models", 1, 130, may_die=True),
        Kind("specs", "specs, as `fer info` shows them", 2, 50),
        Kind("detectors", "detector models", 1, 40),
        Kind("results_files", "files that `--resume` is given", 1, 340),
        Kind("stored_choices", "what `fer doctor` has stored", 0.5, 150),
        Kind("settings", "recipes, settings, thresholds, class maps", 1, 280, has_torch=True),
        Kind("fer2013", "FER2013 as CSV, gz, tar and zip", 1.5, 15, has_torch=True),
        Kind("ferplus", "FER+'s votes", 1, 480, has_torch=True),
        Kind("class_folders", "folders of classes", 1.5, 110, has_torch=True),
        Kind("caches", "cached training data", 1, 50, has_torch=True),
        Kind("run_folders", "files of a training run", 1, 25, has_torch=True),
        Kind("checkpoints", "checkpoints (safetensors)", 1.5, 130, has_torch=True),
        Kind("command_lines", "options with wild values", 3, 30, has_torch=True),
    )
}
