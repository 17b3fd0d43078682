"""A run in several processes (PyTorch's DistributedDataParallel): who is who, and who does what.

`torchrun` starts the processes of one or more machines, or Lightning those of this machine. Every
process runs the whole command; the first alone writes and prints.
"""

from __future__ import annotations

import os
from inspect import signature
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fer_edge.errors import ConfigError

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Each is 0 in the first process, or isn't there: set by torchrun, Lightning or Slurm."""
_SYNC = next(  # the name that this version of PyTorch has for it
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


def trainer_options(devices: int, batch_size: int) -> dict[str, Any]:
    """What Lightning's Trainer must know of the processes.

    Args:
        devices: processes that Lightning is to start on this machine; under torchrun, whose
            processes are there already, 1.
        batch_size: faces a step, of all processes together.

    Raises:
        ConfigError: torchrun was told another number of processes, or they can't share a batch.
    """
    nodes, local = 1, os.environ.get("LOCAL_WORLD_SIZE")
    if local is not None:
        if devices not in (1, int(local)):
            raise ConfigError(f"--devices {devices}: torchrun has started {local}: leave it out")
        devices = int(local)
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if batch_size % (devices * nodes):
        raise ConfigError(
            f"--batch-size {batch_size} can't be shared evenly by {devices * nodes} processes"
        )
    several = devices * nodes > 1
    # running figures of batch norms are brought together once an epoch instead: `average_buffers`
    apart: dict[str, Any] = {_SYNC: False}
    return {
        "devices": devices,
        "num_nodes": nodes,
        "strategy": DDPStrategy(**apart) if several else "auto",
        "sync_batchnorm": several and torch.cuda.is_available(),  # there is none for CPUs
    }


def average_buffers(module: nn.Module) -> None:
    """Give floating-point buffers the mean of all processes', in place; alone, do nothing."""
    if not distributed.is_initialized():
        return
    for buffer in module.buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer /= distributed.get_world_size()


def total(figures: Tensor) -> Tensor:
    """The sum of all processes' figures; alone, those of this one."""
    if distributed.is_initialized():
        distributed.all_reduce(figures)
    return figures


def leave() -> None:
    """Part from the other processes: what follows is the first one's alone."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
