"""Read the three files of an ncnn model without an engine.

`NAME.ncnn.param` is the graph, `NAME.ncnn.bin` the weights, and `NAME.ncnn.json` the spec with the
SHA-256 of the other two.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from fer_edge.detector_spec import DetectorSpec
from fer_edge.documents import read_json
from fer_edge.errors import DamagedSpecError, MissingSpecError, ModelError
from fer_edge.runtime.formats.model_files import check_file, companion
from fer_edge.spec import ModelSpec
from fer_edge.spec_document import SpecDocument

Spec = TypeVar("Spec", ModelSpec, DetectorSpec)

SUFFIX = ".ncnn.param"
"""Ending of the graph's file, whose path stands for the model."""
DIGESTS = "sha256"
"""Key of the digests in the document, beside the spec's own keys."""


def format_document(spec: SpecDocument, digests: dict[str, str]) -> str:
    """The text of `NAME.ncnn.json`; `digests` holds a SHA-256 by the suffix of its file."""
    document = json.loads(spec.to_json())
    return json.dumps({**document, DIGESTS: digests}, ensure_ascii=False) + "\n"


def read_spec(path: Path, kind: type[Spec]) -> Spec:
    """The same as `read_verified_spec`, without reading the graph and the weights."""
    return _read(path, kind)[0]


def read_verified_spec(path: Path, kind: type[Spec]) -> Spec:
    """The spec of the model whose graph is at `path`, after comparing the other files' SHA-256.

    Args:
        path: the graph's file.
        kind: the class of the spec.

    Raises:
        ModelError: a file is missing, damaged, or of another model.
        MissingSpecError: there is no `.json` beside it.
        DamagedSpecError, NewerSpecError: the `.json` can't be used.
    """
    import hashlib  # here: OpenSSL takes as long to load as the model

    spec, digests = _read(path, kind)
    for suffix, expected in digests.items():
        file = companion(path, suffix)
        check_file(file, _ALL, may_be_empty=True)  # its SHA-256 tells
        try:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{file}: {error.strerror}: {_ALL}") from None
        if digest != expected:
            document = companion(path, ".json").name
            raise ModelError(f"{file}: damaged, or of another model than {document}: {_ALL}")
    return spec


_ALL = f"copy all three files again (*{SUFFIX}, .bin and .json), or export again"


def _read(path: Path, kind: type[Spec]) -> tuple[Spec, dict[str, str]]:
    """The spec and the digests in the `.json`."""
    check_file(path, _ALL)
    file = companion(path, ".json")
    try:
        document = read_json(file)
    except FileNotFoundError:
        raise MissingSpecError(
            f"{path}: {file.name} isn't beside it, so its labels and input are unknown: {_ALL}"
        ) from None
    except OSError as error:
        raise ModelError(f"{file}: {error.strerror}: {_ALL}") from None
    except ValueError as error:
        raise DamagedSpecError(f"{file}: damaged or cut off ({error}): {_ALL}") from None
    digests = document.get(DIGESTS) if isinstance(document, dict) else None
    if not isinstance(digests, dict) or digests.keys() != {".param", ".bin"}:
        raise DamagedSpecError(f"{file}: it doesn't name the files that it belongs to: {_ALL}")
    spec = kind.from_document(document, str(file))
    if spec.ncnn is None:
        raise DamagedSpecError(f"{file}: it isn't of an ncnn model: {_ALL}")
    return spec, digests
