"""A run on a cluster: parts go to workers through Ray Data, which replaces workers that end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.data
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fer_edge.cluster.listing import Part, check_sources, list_parts
from fer_edge.cluster.output import Output
from fer_edge.cluster.storage import make_absolute
from fer_edge.cluster.tables import FORMATS, results_schema
from fer_edge.cluster.worker import MAX_ATTEMPTS, Job, Worker, decode_part, encode_part, load
from fer_edge.errors import ClusterError, ConfigError, SourceError
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.text import one_line

logger = logging.getLogger(__name__)

PART_SIZE = 256
"""Images of a part: some seconds of work, which is what the end of a worker costs."""
_OBJECT_STORE = 256 << 20
"""Bytes of a local cluster's shared memory: it holds names and counts, never images."""


@dataclass(frozen=True)
class Totals:
    """What a run has done so far.

    Attributes:
        images: that were read.
        faces: in them.
        failed: images that could not be read, and sources that could not be listed.
        skipped: images that the output held already.
        pending: images that were to read when the run began.
        seconds: since then; without the start of Ray.
        worker: process number of the worker that wrote the last part.
    """

    images: int = 0
    faces: int = 0
    failed: int = 0
    skipped: int = 0
    pending: int = 0
    seconds: float = 0.0
    worker: int = 0


def infer(
    sources: Sequence[str | Path],
    output: str | Path,
    *,
    format: str = "parquet",
    column: str | None = None,
    workers: int | None = None,
    part_size: int = PART_SIZE,
    resume: bool = False,
    address: str | None = None,
    on_part: Callable[[Totals], object] = lambda _: None,
    on_error: Callable[[SourceError], object] = logger.warning,
    **options: Any,
) -> Totals:
    """Recognize the faces of many images on many machines, and write tables of results.

    Each worker takes one CPU, opens the model once, and decodes and predicts on one thread. Paths,
    the model's file and the output must be the same on every machine.

    Without `address`, Ray listens on every network of this machine, and whoever may talk to it can
    run programs: set `RAY_AUTH_MODE=token` and `RAY_AUTH_TOKEN` before this module is imported, as
    `fer cluster` does.

    Args:
        sources: image files, folders, patterns, Parquet files with paths or the bytes of images, or
            addresses of object storage (`s3://bucket/folder`).
        output: a folder or an address. It gets `results/part-*` with the columns of
            `fer infer --csv`, and `errors/part-*` with the columns `source` and `error`.
        format: of these tables, "parquet" or "csv".
        column: of Parquet files that are read: the one that holds the images.
        workers: number of processes; None: as many as the cluster has CPUs.
        part_size: images of a part.
        resume: skip the images in the tables of an earlier run.
        address: of a cluster, such as "auto" for that of this machine; None: a cluster in this
            machine for this run alone, or the one that `ray.init` has connected to.
        on_part: called after each part.
        on_error: called with a source that can't be listed; by default it is logged.
        options: of `Recognizer.load`, without `threads`.

    Raises:
        ConfigError: a setting is invalid, or the output holds something else.
        ModelError, SpecError, DeviceError, MissingExtraError: see `Recognizer.load`.
        ClusterError: a worker can't go on, or parts were lost. Finished parts are kept.
        OSError: the output can't be read or written.
    """
    if format not in FORMATS:
        raise ConfigError(f"format is {format!r}: choose {' or '.join(FORMATS)}")
    if part_size < 1 or (workers is not None and workers < 1):
        raise ConfigError("part_size and workers must be 1 or more")
    names = [str(one) for one in sources]
    check_sources(names)
    recognizer, identity = load(options)
    written = Output(make_absolute(str(output)), format, results_schema(recognizer.spec))
    taken = written.part_names()
    if taken and not resume:
        raise ConfigError(f"{output} holds results: continue them with resume, or remove them")
    totals, existing = Totals(), written.read_sources()
    to_text = FORMATS[format].to_text
    rows: list[dict[str, Any]] = []

    def report(error: SourceError) -> None:
        nonlocal totals
        totals = replace(totals, failed=totals.failed + 1)
        on_error(error)

    for part in list_parts(names, part_size, column, report):
        left = tuple(name for name in part.names if to_text(name) not in existing)
        totals = replace(
            totals,
            skipped=totals.skipped + len(part.names) - len(left),
            pending=totals.pending + len(left),
        )
        if left:
            name = written.new_name(part.number, taken)
            rows.append(encode_part(Part(part.number, left), name))
    if not rows:
        return totals
    job, lost = Job(options, identity, written, column, str(Path.cwd())), []
    with connect(address, workers):
        began = time.monotonic()
        for done in run_parts(rows, job, workers):
            if done["error"]:
                raise ClusterError(f"a worker can't go on: {done['error']}")
            if done["is_lost"]:
                lost.append(done["number"])
                continue
            totals = replace(
                totals,
                images=totals.images + done["images"],
                faces=totals.faces + done["faces"],
                failed=totals.failed + done["failed"],
                seconds=time.monotonic() - began,
                worker=done["pid"],
            )
            on_part(totals)
    if lost:
        part = next(part for part, _ in map(decode_part, rows) if part.number == min(lost))
        raise ClusterError(
            f"{len(lost)} of {len(rows)} parts were lost, because {MAX_ATTEMPTS} workers ended "
            f"with each of them, maybe for lack of memory; the first begins with {part.names[0]}. "
            "All others are written; resuming tries the lost ones again"
        )
    return totals


class Attempts:
    """How many workers have begun with each part, in a process of its own."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def count(self, number: int) -> int:
        """Count one more, and return how many there are."""
        self._begun[number] += 1
        return self._begun[number]


def run_parts(
    rows: Sequence[dict[str, Any]], job: Job, workers: int | None
) -> Iterator[dict[str, Any]]:
    """What `Worker` returns for each row, as it is done.

    Raises:
        ConfigError: there are more workers than CPUs.
        ClusterError: Ray can't go on.
    """
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if cpus < (workers or 1):  # Ray would wait for more
        raise ConfigError(f"the cluster has {cpus} CPUs for {workers or 1} workers")
    # beside the process that started the run: any other machine may end
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    attempts = ray.remote(num_cpus=0, scheduling_strategy=here)(Attempts).remote()

    def count_attempt(number: int) -> int:
        begun: int = ray.get(attempts.count.remote(number))
        return begun

    parts = ray.data.from_items(list(rows), override_num_blocks=len(rows))
    done = parts.map(
        Worker,
        fn_constructor_args=(job, count_attempt),
        # one part waits beside the one that is read
        compute=ray.data.ActorPoolStrategy(
            size=min(workers or cpus, len(rows)), max_tasks_in_flight_per_actor=2
        ),
        num_cpus=1,
    )
    try:
        yield from done.iter_rows()
    except ray.exceptions.RayError as error:
        raise ClusterError(f"Ray: {one_line(error)}") from None


@contextmanager
def connect(address: str | None, workers: int | None) -> Iterator[None]:
    """Connect to a cluster, or start one in this machine that ends with the block.

    What Ray logs is in its own files (`/tmp/ray/session_latest/logs`).
    """
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.data.DataContext.get_current().print_on_execution_start = False
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        quiet |= {
            "address": "local",
            "num_cpus": workers or count_usable_cores(),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_node_ip_address": "127.0.0.2",  # reached without a network; Ray replaces 127.0.0.1
            "_system_config": {"worker_niceness": 0},  # that of this process, as fer infer
        }
    else:
        quiet["address"] = address
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        try:
            ray.init(**quiet)
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise ClusterError(f"{address or 'a local cluster'}: {one_line(error)}") from None
        if in_main:  # Ray replaces it
            signal.signal(signal.SIGTERM, handler)
        yield
    finally:
        ray.shutdown()
