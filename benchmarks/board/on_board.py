"""Runs one check on a board, with the base dependencies alone; the last line is its JSON result.

on_board.py fer ARGUMENT... COUNTS              the command, in this process
on_board.py model NAME MODEL ANSWERS COUNTS     a model against the host's logits
on_board.py detector DETECTOR ANSWERS COUNTS    the same for YuNet
on_board.py own_detector NAME DETECTOR ANSWERS COUNTS    the package's against its golden samples

ANSWERS is the host's .npz file, COUNTS the file that the plugin writes to.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

WARM_UP, COUNTED = 3, 8
PACKAGES = ("fer-edge", "ncnn", "numpy", "onnxruntime", "pillow")


def fer(*arguments: str) -> dict[str, Any]:
    from fer_edge.cli import main

    *arguments, _ = arguments

    # the emulated Python can't start child processes; the script that starts it can
    sys.executable = os.environ.get("BOARD_PYTHON", sys.executable)
    sys.argv = ["fer", *arguments]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    texts = {}
    for name, stream in (("out", out), ("err", err)):
        stream.seek(0)
        texts[name] = stream.read()
    return {"code": code or 0, **texts}


def model(name: str, path: str, host_outputs: str, counts: str) -> dict[str, Any]:
    import numpy as np

    from fer_edge.runtime.backends import open_backend
    from fer_edge.runtime.backends.verification import MAX_DIFF

    engine = "ncnn" if path.endswith(".param") else "onnxruntime"
    backend = open_backend(Path(path), backend=engine, threads=1, verify=False)
    with np.load(host_outputs) as host:
        faces, expected = host["faces"][: len(host[name])], host[name]
    counted = instructions(lambda i: backend(faces[i][None]), counts)
    memory = resident()  # of one face at a time, as a camera gives them
    golden = backend.spec.golden_logits()
    found = backend(faces)
    precision = backend.spec.quantization.precision
    return {
        "precision": precision,
        "golden": float(np.abs(backend(backend.spec.golden_faces()) - golden).max()),
        "golden_tolerance": MAX_DIFF[precision],
        "largest": float(np.abs(found - expected).max()),
        "same": int((found.argmax(1) == expected.argmax(1)).sum()),
        "faces": len(faces),
        "instructions": counted,
        "memory": memory,
    }


def detector(path: str, host_outputs: str, counts: str) -> dict[str, Any]:
    import numpy as np

    from fer_edge.runtime.detection.engines import open_network
    from fer_edge.runtime.detection.yunet import detect_faces

    run = open_network(Path(path), threads=1)
    with np.load(host_outputs) as host:
        pixels, expected = host["pixels"], host["detector"]
    counted = instructions(lambda _: detect_faces(run, pixels), counts)
    found = detect_faces(run, pixels)
    same = found.shape == expected.shape
    return {
        "largest": float(np.abs(found - expected).max()) if same else None,
        "instructions": counted,
        "memory": resident(),
    }


def own_detector(name: str, path: str, host_outputs: str, counts: str) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    from fer_edge.runtime.detection.cells import OPENERS, SURE, find_faces
    from fer_edge.runtime.formats.spec_reader import read_detector_spec

    engine = "ncnn" if path.endswith(".param") else "onnxruntime"
    spec = read_detector_spec(Path(path))
    # not `open_cells`: it refuses a file whose golden samples differ, without their difference
    run = OPENERS[engine][1](Path(path), spec, 1)
    score = pixels = 0.0
    for sample in spec.golden:
        image, golden = sample.decode()
        difference = np.abs(run(image[None])[0] - golden)
        score = max(score, float(difference[-1].max()))
        pixels = max(pixels, float(difference[:-1, golden[-1] >= SURE].max(initial=0)))
    with np.load(host_outputs) as host:
        photograph, expected = Image.fromarray(host["pixels"]), host[name]
    counted = instructions(lambda _: find_faces(run, spec, photograph), counts)
    found = find_faces(run, spec, photograph)
    return {
        "score": score,
        "pixels": pixels,
        "faces": len(found),
        "same": len(found) == len(expected),
        "instructions": counted,
        "memory": resident(),
    }


def instructions(call: Callable[[int], object], counts: str) -> int:
    """Instructions of one call: the median of `COUNTED` calls after `WARM_UP`."""
    taken = []
    for i in range(WARM_UP + COUNTED):
        os.getpgid(0)  # makes the plugin write the count
        call(i)
        os.getpgid(0)
        before, after = Path(counts).read_text().split()[-2:]
        taken.append(int(after) - int(before))
    return round(median(taken[WARM_UP:]))


def resident() -> float:
    """Peak resident memory so far, in megabytes, without QEMU's own part.

    The kernel's VmHWM is that of QEMU and the program together. QEMU shows the program its own
    mappings in /proc/self/maps, and the kernel's smaps has the resident size of each mapping: the
    rest is QEMU's. As QEMU's part only grows, the result is a lower bound.
    """
    ranges = [_range(line) for line in Path("/proc/self/maps").read_text().splitlines()]
    own = kilobytes = 0
    ours = False
    # by this name, since later versions of QEMU make up /proc/self/smaps
    for line in Path("/proc/thread-self/smaps").read_text().splitlines():
        first = line.split()[0]
        if not first.endswith(":"):
            start, end = _range(line)
            ours = any(start < last and end > begin for begin, last in ranges)
        elif first == "Rss:":
            resident_here = int(line.split()[1])
            kilobytes += resident_here if ours else 0
            own += 0 if ours else resident_here
    status = Path("/proc/thread-self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return max(kilobytes, peak - own) / 1024


def _range(line: str) -> tuple[int, int]:
    start, end = line.split()[0].split("-")
    return int(start, 16), int(end, 16)


def main(kind: str, *arguments: str) -> None:
    kinds: dict[str, Callable[..., dict[str, Any]]] = {
        "fer": fer,
        "model": model,
        "detector": detector,
        "own_detector": own_detector,
    }
    report = kinds[kind](*arguments)
    versions = {"Python": sys.version.split()[0]}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # ncnn is an extra
            versions[name] = version(name)
    report = {"memory": resident(), "versions": versions, **report}
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
