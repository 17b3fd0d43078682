"""What does `fer serve` cost, and does its memory grow? With base.

python -m benchmarks.serve [--seconds 10] [--requests 10000] [--keep]

A server runs as a process of its own. Clients, threads of this process, keep their connections and
send the next request when the last one is done: a photograph of 640 x 480 pixels, in which the
package's detector finds a face, and a face that is cropped. Viewers look at a video of 640 x 480
pixels at 15 frames per second. The clients use the same cores, so the server's cost is compared in
CPU time: that of the server's process for each request, and that of one call of `Recognizer` with
the same bytes.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.lib.result_tables import save_result
from benchmarks.lib.timing import print_table
from fer_edge import Recognizer
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec

CLIENTS, VIEWERS = (1, 8, 64), (0, 1, 8)
SIZE, RATE = (640, 480), 15
"""Of the photograph and the video, in pixels; the video's frames per second."""
DETECTOR = "built-in"
WARM_UP, CALLS = 20, 200
"""Calls of `Recognizer` whose CPU time counts, and those before."""
EXAMPLE = Path(__file__).parent.parent / "examples" / "astronaut.png"
LOAD_COLUMNS = [
    "image", "clients", "requests/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms a request",
    "of one call", "server's own", "refused",
]  # fmt: skip
VIEWER_COLUMNS = ["viewers", "frames/s for each", "CPU of the server"]
MEMORY_COLUMNS = ["requests", "MB before", "MB after"]


@dataclass(frozen=True)
class Process:
    """A server: its process and its port."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """CPU time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Resident set of the process, in MB (2^20 bytes)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Load:
    """What clients got: seconds of each request, refusals, and the server's CPU seconds."""

    seconds: Sequence[float]
    refused: int
    elapsed: float
    cpu: float

    def row(self, image: str, clients: int, call: float) -> list[str | int | float]:
        """The row of the table; `call` is the CPU time of one call, in seconds."""
        median, high, highest = np.percentile(self.seconds, (50, 95, 99)) * 1000
        request = self.cpu / (len(self.seconds) + self.refused)
        return [
            image,
            clients,
            f"{len(self.seconds) / self.elapsed:.0f}",
            *(f"{one:.1f}" for one in (median, high, highest)),
            f"{request * 1000:.2f}",
            f"{call * 1000:.2f}",
            f"{request / call - 1:.0%}",
            self.refused,
        ]


@contextmanager
def serving(*arguments: object) -> Iterator[Process]:
    """A server for as long as the block runs."""
    limits = ("--max-requests", 64, "--max-connections", 128, "--max-viewers", 16)
    command = [sys.executable, "-m", "fer_edge", "serve", *arguments, "--port", 0, *limits]
    command += ["--detector", DETECTOR]
    with subprocess.Popen(map(str, command), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r":(\d+)/ \(Ctrl-C", line):
                    yield Process(process.pid, int(found[1]))
                    return
            raise RuntimeError("the server did not start")
        finally:
            process.terminate()


def make_images() -> dict[str, bytes]:
    """The photograph and the cropped face, encoded."""
    with Image.open(EXAMPLE) as image:
        face = image.convert("RGB")
    photograph = Image.new("RGB", SIZE, "gray")
    photograph.paste(face, (190, 110))
    crop = face.crop((40, 30, 220, 256)).convert("L").resize((48, 48))
    return {"640 x 480 JPEG": encode(photograph, "jpeg"), "cropped face": encode(crop, "png")}


def encode(image: Image.Image, kind: str) -> bytes:
    """An image as bytes."""
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def time_call(recognizer: Recognizer, image: bytes) -> float:
    """CPU seconds of one call, over `CALLS`."""
    for _ in range(WARM_UP):
        recognizer(image)
    began = time.process_time()
    for _ in range(CALLS):
        recognizer(image)
    return (time.process_time() - began) / CALLS


def send(process: Process, image: bytes, clients: int, has_more: Callable[[], bool]) -> Load:
    """Let clients send an image for as long as there is more to do."""

    def run(_: int) -> tuple[list[float], int]:
        seconds, refused = list[float](), 0
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
        while has_more():
            began = time.perf_counter()
            connection.request("POST", "/v1/predict", image)
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                seconds.append(time.perf_counter() - began)
            elif response.status == 503:
                refused += 1
            else:
                raise RuntimeError(f"status {response.status}")
        connection.close()
        return seconds, refused

    began, cpu = time.perf_counter(), process.cpu_seconds()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(run, range(clients)))
    elapsed, cpu = time.perf_counter() - began, process.cpu_seconds() - cpu
    times = [one for seconds, _ in found for one in seconds]
    return Load(times, sum(refused for _, refused in found), elapsed, cpu)


def until(end: float) -> Callable[[], bool]:
    """True before `end`, a time of `time.perf_counter`."""
    return lambda: time.perf_counter() < end


def count_down(number: int) -> Callable[[], bool]:
    """True `number` times, whichever thread calls."""
    left, lock = iter(range(number)), threading.Lock()

    def has_more() -> bool:
        with lock:
            return next(left, None) is not None

    return has_more


def measure_load(seconds: float) -> list[list[str | int | float]]:
    """Requests by image and number of clients."""
    rows = []
    recognizer = Recognizer.load(threads=1, detector=DETECTOR)
    with serving("--threads", 1) as process:
        for name, image in make_images().items():
            call = time_call(recognizer, image)
            send(process, image, 1, count_down(WARM_UP))
            for clients in CLIENTS:
                load = send(process, image, clients, until(time.perf_counter() + seconds))
                rows.append(load.row(name, clients, call))
    return rows


def measure_memory(requests: int) -> list[list[str | int | float]]:
    """The server's memory before and after many requests of 8 clients."""
    image = next(iter(make_images().values()))
    with serving("--threads", 1) as process:
        send(process, image, 8, count_down(max(1, requests // 10)))
        before = process.resident_mb()
        send(process, image, 8, count_down(requests))
        return [[f"{requests:,}", f"{before:.1f}", f"{process.resident_mb():.1f}"]]


def measure_viewers(seconds: float) -> list[list[str | int | float]]:
    """Frames for each viewer of a video, and the server's CPU."""
    rows = list[list[str | int | float]]()
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder, "clip.mp4"))
        for viewers in VIEWERS:
            with serving(clip, "--threads", 1) as process:
                time.sleep(1)  # it opens the video
                cpu, began = process.cpu_seconds(), time.perf_counter()
                frames = watch(process, viewers, until(began + seconds))
                elapsed, cpu = time.perf_counter() - began, process.cpu_seconds() - cpu
            each = "" if not viewers else f"{frames / viewers / elapsed:.1f}"
            rows.append([viewers, each, f"{cpu / elapsed:.0%} of a core"])
    return rows


def watch(process: Process, viewers: int, has_more: Callable[[], bool]) -> int:
    """Frames that all viewers got together."""
    from websockets.sync.client import connect

    def look(_: int) -> int:
        frames = 0
        with connect(f"ws://127.0.0.1:{process.port}/v1/live", max_size=None) as socket:
            while has_more():
                if isinstance(socket.recv(), bytes):
                    frames += 1
                    socket.send("")
        return frames

    if not viewers:
        while has_more():
            time.sleep(0.01)
        return 0
    with ThreadPoolExecutor(viewers) as pool:
        return sum(pool.map(look, range(viewers)))


def write_clip(path: Path) -> Path:
    """Ten seconds in which the photograph moves."""
    import av

    with Image.open(EXAMPLE) as image:
        face = image.convert("RGB")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for i in range(10 * RATE):
            frame = Image.new("RGB", SIZE, "gray")
            frame.paste(face, (100 + i, 110))
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row")
    parser.add_argument("--requests", type=int, default=10_000, help="while memory is measured")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results")
    arguments = parser.parse_args()
    tables = {
        "serve_load": (LOAD_COLUMNS, measure_load(arguments.seconds)),
        "serve_memory": (MEMORY_COLUMNS, measure_memory(arguments.requests)),
        "serve_viewers": (VIEWER_COLUMNS, measure_viewers(arguments.seconds)),
    }
    for name, (columns, rows) in tables.items():
        print_table(columns, rows, 18)
        if arguments.keep:
            save_result(
                name,
                columns,
                rows,
                command="python -m benchmarks.serve --keep",
                model=read_spec(bundled("model")).title,
            )


if __name__ == "__main__":
    main()
