"""Where an export is written, and which existing files it may replace."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from fer_edge.atomic import check_writable
from fer_edge.errors import ConfigError, ModelError, SpecError
from fer_edge.export.formats import FORMATS
from fer_edge.export.golden import COUNT
from fer_edge.export.thresholds import DEFAULT_GATE, DEFAULT_THRESHOLDS, Gate
from fer_edge.runtime.formats.model_files import COMPANIONS, model_type
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec, Precision
from fer_edge.train.data.dataset import FaceData, Split
from fer_edge.train.evaluation.evaluate import CHECKPOINT
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.run_folder import is_run_folder

_OVERWRITE_ADVICE = "pass --force to replace it, or choose another file with --output or --name"


def resolve_output(
    source: Path,
    *,
    format: str = "onnx",
    precision: Precision = "fp32",
    output: Path | None = None,
    name: str | None = None,
) -> Path:
    """The path of the exported file, with the suffix of its format.

    Args:
        source: the checkpoint. Its run's folder is the default folder; for a checkpoint outside a
            run it is the current folder.
        format: a key of `FORMATS`.
        precision: part of the default file name, `NAME-PRECISION.SUFFIX`.
        output: a file with the suffix of the format, or a folder, which need not exist.
        name: replaces the model's name in the default file name.

    Raises:
        ConfigError: the format or the precision is unknown, the source is no checkpoint, the output
            has the suffix of another format, or the name isn't a plain name.
        ModelError, SpecError, OSError: the checkpoint can't be read.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}: the formats are {', '.join(FORMATS)}")
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise ConfigError(f"unknown precision {precision!r}: the precisions are {known}")
    if model_type(source) != CHECKPOINT:
        raise ConfigError(f"{source}: only a checkpoint can be exported, a {CHECKPOINT} file")
    suffix = FORMATS[format].suffix
    if name is not None and (name != Path(name).name or name in ("", "..")):
        raise ConfigError(f"--name must be a file name without a folder, not {name!r}")
    filename = f"{read_spec(source).name if name is None else name}-{precision}{suffix}"
    if output is None:
        return (source.parent if is_run_folder(source.parent) else Path()) / filename
    if output.is_dir() or not (output.suffix or output.exists()):
        return output / filename
    if not output.name.endswith(suffix):
        raise ConfigError(
            f"{output}: --format {format} writes a file that ends in {suffix}: "
            "give --output such a file or a folder"
        )
    if name is not None:
        raise ConfigError(f"--name has no effect where --output names a file: {output}")
    return output


def check_replaceable(path: Path) -> None:
    """Check, before minutes of work, that a file can be written in place of `path`.

    Raises:
        ConfigError: `path` is a folder or a device.
        OSError: its folder can't be written to.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: a folder or a device: choose another --output")
    check_writable(path.parent)


def check_output(
    path: Path,
    source: Path,
    data: FaceData | None = None,
    *,
    split: Split = "test",
    precision: Precision = "fp32",
    gate: Gate = DEFAULT_GATE,
) -> None:
    """Refuse to replace a file that the new export couldn't stand in for.

    A file may be replaced by an export of the same checkpoint in the same precision whose proof is
    at least as strong: at least as many faces of the same split, where the existing file was
    compared on a split, and the default thresholds where it reached them.

    Args:
        path: the file that the engine opens.
        source: the checkpoint to be exported.
        data, split, precision, gate: of the new export.

    Raises:
        ConfigError: the file may not be replaced; the message says why and what to do.
        DataError: the data lacks the split.
        OSError: the folder can't be written to, or a file can't be read.
    """
    check_replaceable(path)
    if not path.exists():
        for companion in map(path.with_suffix, COMPANIONS.get(path.suffix, ())):
            if companion.exists():
                raise ConfigError(f"{companion} exists without {path.name}: {_OVERWRITE_ADVICE}")
        return
    try:
        existing = read_spec(path)
    except (ModelError, SpecError) as error:
        raise ConfigError(
            f"{path} exists and has no readable spec ({error}): {_OVERWRITE_ADVICE}"
        ) from None
    if reason := _objection(existing, source, data, split, precision, gate):
        raise ConfigError(f"{path} exists and {reason}: {_OVERWRITE_ADVICE}")


def _objection(
    existing: ModelSpec,
    source: Path,
    data: FaceData | None,
    split: Split,
    precision: Precision,
    gate: Gate,
) -> str | None:
    digest = checkpoints.sha256(source)
    if existing.source_sha256 != digest:
        made_from = (existing.source_sha256 or "unknown")[:16]
        return f"comes from another checkpoint (sha256 {made_from}, {source} has {digest[:16]})"
    if existing.quantization.precision != precision:
        return f"is {existing.quantization.precision}, not {precision}"
    proof = existing.parity
    if proof is None or not proof.passed or proof.gate == "off":
        return None
    if not gate.enforced:
        return "is proved, this export would be kept unproved (--no-gate)"
    old = proof.faces, proof.n
    new = ("golden", COUNT) if data is None else (split, len(data.split(split)))
    if proof.faces != "golden" and (new[0] != proof.faces or new[1] < proof.n):
        return f"is proved on {_describe(*old)}, this export would be on {_describe(*new)}"
    kinds = [kind for kind in DEFAULT_THRESHOLDS if kind.startswith(precision)]
    if proof.gate == "default" and any(gate.state(kind) == "changed" for kind in kinds):
        return "reached the default thresholds, this export would be checked by changed ones"
    return None


def _describe(faces: str, n: int) -> str:
    return f"{n} golden samples alone" if faces == "golden" else f"{n:,} faces of {faces}"
