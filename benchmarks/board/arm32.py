"""ncnn on 32-bit ARM: a Raspberry Pi 2's core, with the packages that the system has itself.

numpy and Pillow come from Debian, ncnn's wheel from pip. All labels must be PyTorch's, and logits
must agree to 1e-4.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.board.checks import FLOAT_TOLERANCE
from benchmarks.board.emulate import FACES, TIMEOUT, export_cached, faces
from benchmarks.board.machine import (
    CACHE,
    debian,
    install,
    once,
    python_of,
    release,
    tags_of,
    wheel_of,
)
from fer_edge.export.golden import draw_faces
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.networks.checkpoint import load

CORE = "cortex-a7"
LIBRARIES = ("blas", "lapack", ".")
"""Debian's folders of libraries; unpacking alone makes no links to the first two."""
ON_BOARD = """
import platform, sys
from pathlib import Path

import ncnn
import numpy as np

from fer_edge.runtime.backends import open_backend

model, faces, logits = sys.argv[1:]
np.save(logits, open_backend(Path(model), backend="ncnn")(np.load(faces)))
print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
      f"ncnn {ncnn.__version__}")
"""


def run_on_board(root: Path, site: Path, *arguments: Path) -> str:
    """Run `ON_BOARD` and return its output."""
    libraries = root / "usr" / "lib" / "arm-linux-gnueabihf"
    set_there = {
        "LD_LIBRARY_PATH": ":".join(str(libraries / name) for name in LIBRARIES),
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": f"{site}:{root / 'usr' / 'lib' / 'python3' / 'dist-packages'}",
    }
    command = ["qemu-arm", "-cpu", CORE, "-L", str(root)]
    command += [word for pair in set_there.items() for word in ("-E", "=".join(pair))]
    command += [str(root / "usr" / "bin" / python_of(root)), "-c", ON_BOARD, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise SystemExit(f"the board's Python ended with {done.returncode}")
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/board/run arm32", description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="cache folder")
    cache = parser.parse_args().cache.resolve()
    model = export_cached(cache, "ncnn")
    if model is None:
        raise SystemExit("the extras export and ncnn are missing: pip install '.[export,ncnn]'")
    of_system = ("python3-numpy", "python3-pil")
    root = once(cache / f"root-armhf-{release()}", lambda to: debian(to, "armhf", of_system))
    shown, what = faces(FACES)
    shown = np.concatenate([draw_faces(shown.shape[1]), shown])
    with tempfile.TemporaryDirectory(prefix="arm32-") as name:
        scratch = Path(name)
        wanted = ["--no-deps", "ncnn", str(wheel_of(scratch))]
        install(scratch / "site", tags_of(root, "armv7l"), wanted)
        np.save(scratch / "faces.npy", shown)
        files = (scratch / "faces.npy", scratch / "logits.npy")
        versions = run_on_board(root, scratch / "site", model, *files)
        logits = np.load(files[1])
    expected = load(bundled("checkpoint")).predict(shown)
    same = int((logits.argmax(1) == expected.argmax(1)).sum())
    largest = float(np.abs(logits - expected).max())
    print(f"{versions}: {same} of {len(shown)} same label, {largest:.1e} from PyTorch")
    print(f"{FACES} {what}, the others golden samples")
    sys.exit(same < len(shown) or largest > FLOAT_TOLERANCE)


if __name__ == "__main__":
    main()
