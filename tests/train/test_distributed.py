"""Runs in two processes on CPUs, started by torchrun and by Lightning."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fer_edge.errors import ConfigError
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train import distributed
from fer_edge.train.batches import make_loader
from fer_edge.train.callbacks import read_log
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.loading import read_data
from fer_edge.train.fit import fit
from fer_edge.train.networks import checkpoint
from fer_edge.train.run_folder import resolve_config
from fer_edge.train.targets import build_targets
from tests.support.data import draw_rows, write_csv
from tests.support.networks import make_checkpoint
from tests.support.processes import KILL_IN_SECOND_EPOCH, run_python

NO_AUGMENTATION = dict.fromkeys(
    ("rotation", "scale", "shift", "flip", "brightness", "contrast", "erase"), 0.0
)
"""Each process draws other random numbers."""
KILLED = f"""{KILL_IN_SECOND_EPOCH}
from fer_edge.cli import main

main()
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """63 faces to train on and 21 to validate: neither can be halved."""
    return write_csv(draw_rows(9, 3, 1), tmp_path_factory.mktemp("data") / "fer2013.csv")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint("tiny", tmp_path_factory.mktemp("first"))


def run(*arguments: object, fails: bool = False) -> str:
    """Run a command and return its standard error."""
    done = run_python(*arguments)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr


def options(data: Path, first: Path, output: Path) -> tuple[object, ...]:
    return (
        *("train", "--data", data, "--weights", first, "--arch", "tiny"),
        *("--epochs", 3, "--batch-size", 14, "--storage", "fp32", "--output", output),
    )


@pytest.fixture(scope="module")
def unbroken(data: Path, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose processes Lightning starts."""
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    log = run("-m", "fer_edge", *options(data, first, folder), "--devices", 2)
    starts = [line.partition(" ")[0] for line in log.splitlines()]
    assert starts == ["FER2013:", "epoch", "epoch", "epoch", "next:"], log
    return folder


@pytest.mark.slow
def test_killed_in_two_processes_and_resumed_ends_like_an_unbroken_run(
    data: Path, first: Path, unbroken: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    (tmp_path / "killed.py").write_text(KILLED)
    run(*TORCHRUN, tmp_path / "killed.py", *options(data, first, folder), fails=True)
    assert [row["epoch"] for row in read_log(folder / "metrics.csv")] == ["1"]
    run(*TORCHRUN, "-m", "fer_edge", "train", "--resume", "--output", folder)
    logs = [read_log(run / "metrics.csv") for run in (folder, unbroken)]
    for name in ("epoch", "lr", "train_loss", "val_loss", "val_accuracy"):
        assert [row[name] for row in logs[0]] == [row[name] for row in logs[1]]
    ours, theirs = (load_file(run / "model.safetensors") for run in (folder, unbroken))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_one_process_measures_what_two_measured(unbroken: Path, data: Path) -> None:
    best = max(read_log(unbroken / "metrics.csv"), key=lambda row: float(row["val_accuracy"]))
    (metrics,) = read_spec(unbroken / "model.safetensors").metrics
    assert (metrics.split, metrics.n) == ("val", 21)
    assert metrics.accuracy == pytest.approx(float(best["val_accuracy"]), abs=1e-4)
    val = read_data(data).split("val")
    logits = checkpoint.load(unbroken / "model.safetensors").predict(val.pixels)
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(val.labels))
    assert float(loss) == pytest.approx(float(best["val_loss"]), abs=1e-4)


def test_two_processes_take_the_step_that_one_takes(
    data: Path, first: Path, tmp_path: Path
) -> None:
    """Of a QAT run: a quantized model has no batch norms, whose statistics differ by process."""
    recipe = tmp_path / "no_augmentation.toml"
    lines = "\n".join(f"{name} = {value}" for name, value in NO_AUGMENTATION.items())
    recipe.write_text(
        f"epochs = 1\nbatch_size = 62\n[augmentation]\n{lines}\n[corruption]\nfraction = 0\n"
    )
    given = ("train", "--qat", "--from", first, "--data", data, "--recipe", recipe)
    run(*TORCHRUN, "-m", "fer_edge", *given, "--output", tmp_path / "two")
    config = TrainConfig.load(tmp_path / "two" / "config.json")
    fit(config, tmp_path / "one")
    kept = [
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)
        for run in ("one", "two")
    ]
    states = [one["optimizer_states"][0]["state"] for one in kept]
    # the weight and the bias of each of the network's eight layers
    assert set(states[0]) == set(states[1]) == set(range(16))
    for number, state in states[0].items():
        ours, theirs = state["exp_avg"], states[1][number]["exp_avg"]
        assert (ours - theirs).norm() <= 1e-3 * ours.norm() + 1e-8, number
    logs = [read_log(tmp_path / run / "metrics.csv")[0] for run in ("one", "two")]
    assert float(logs[0]["train_loss"]) == pytest.approx(float(logs[1]["train_loss"]), abs=1e-3)


def test_ranks_share_batches_and_no_face_is_seen_twice(data: Path, tmp_path: Path) -> None:
    read = read_data(data)
    given: dict[str, object] = {"data": str(data), "batch_size": 12}
    config = resolve_config(given, tmp_path, resume=False)
    pixels, targets = read.split("train").pixels, torch.arange(63.0)[:, None].expand(63, 7)
    train = partial(make_loader, pixels, targets, config, is_training=True)
    alone = train()
    shared = [train(rank=i, world_size=3) for i in range(3)]
    for epoch in (0, 1):
        for one in (alone, *shared):
            one.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        batches = [set(found[:, 0].tolist()) for _, found, _ in alone]
        parts = zip(*([found[:, 0].tolist() for _, found, _ in one] for one in shared), strict=True)
        assert [set(itertools.chain(*part)) for part in parts] == batches
        assert all(len(batch) == 12 for batch in batches)
        assert len(set.union(*batches)) == 60
    val = [
        make_loader(
            read.split("val").pixels,
            torch.from_numpy(read.split("val").labels),
            config,
            is_training=False,
            rank=i,
            world_size=4,
        )
        for i in range(4)
    ]
    assert [len(one.sampler) for one in val] == [6, 5, 5, 5]  # type: ignore[arg-type]
    assert sorted(place for one in val for place in one.sampler) == list(range(21))
    assert build_targets(config, read).shape == (63, 7)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)

    def put(**values: int) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))

    return put


def test_rank_zero(environment: Callable[..., None]) -> None:
    assert distributed.is_rank_zero()
    environment(LOCAL_RANK=0, RANK=0)
    assert distributed.is_rank_zero()
    environment(RANK=4)  # first of the second machine
    assert not distributed.is_rank_zero()


def test_number_of_processes(environment: Callable[..., None]) -> None:
    alone = distributed.trainer_options(1, 64)
    assert (alone["devices"], alone["num_nodes"], alone["strategy"]) == (1, 1, "auto")
    with pytest.raises(ConfigError, match="--batch-size 64 isn't a multiple of 3 processes"):
        distributed.trainer_options(3, 64)
    environment(LOCAL_WORLD_SIZE=4, WORLD_SIZE=8)
    found = distributed.trainer_options(1, 64)
    assert (found["devices"], found["num_nodes"]) == (4, 2)
    with pytest.raises(ConfigError, match="--devices 2: torchrun has started 4: leave it out"):
        distributed.trainer_options(2, 64)


def test_a_single_process_has_nothing_to_reduce() -> None:
    norm = torch.nn.BatchNorm2d(3)
    distributed.average_buffers(norm)
    distributed.leave_process_group()
    assert norm.running_var.tolist() == [1, 1, 1]
