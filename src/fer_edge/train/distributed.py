"""Training in several processes with PyTorch's DistributedDataParallel.

`torchrun` starts the processes of one or more machines, or Lightning those of this machine. Every
process runs the whole command; only rank 0 writes files and logs.
"""

from __future__ import annotations

import os
from inspect import signature
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fer_edge.errors import ConfigError

_RANK_VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Set by torchrun, Lightning or Slurm; each is 0 or unset in the process of rank 0."""
_BUFFER_SYNC_OPTION = next(  # PyTorch renamed it
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)


def is_rank_zero() -> bool:
    """Whether this process writes files and logs."""
    return all(os.environ.get(name, "0") == "0" for name in _RANK_VARIABLES)


def trainer_options(devices: int, batch_size: int) -> dict[str, Any]:
    """Return the options of Lightning's Trainer that depend on the processes.

    Args:
        devices: processes that Lightning starts on this machine; 1 under torchrun, which has
            started them already.
        batch_size: faces per step, over all processes.

    Raises:
        ConfigError: torchrun has started another number of processes, or `batch_size` isn't a
            multiple of their number.
    """
    nodes, local = 1, os.environ.get("LOCAL_WORLD_SIZE")
    if local is not None:
        if devices not in (1, int(local)):
            raise ConfigError(f"--devices {devices}: torchrun has started {local}: leave it out")
        devices = int(local)
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if nodes == 1:  # else gloo asks the name server for this machine's address
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    world_size = devices * nodes
    if batch_size % world_size:
        raise ConfigError(f"--batch-size {batch_size} isn't a multiple of {world_size} processes")
    # batch norm statistics are averaged once per epoch instead: `average_buffers`
    no_sync: dict[str, Any] = {_BUFFER_SYNC_OPTION: False}
    return {
        "devices": devices,
        "num_nodes": nodes,
        "strategy": DDPStrategy(**no_sync) if world_size > 1 else "auto",
        "sync_batchnorm": world_size > 1 and torch.cuda.is_available(),  # not available on CPUs
    }


def average_buffers(module: nn.Module) -> None:
    """Average floating-point buffers over all ranks, in place; without others, do nothing."""
    if not distributed.is_initialized():
        return
    for buffer in module.buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer /= distributed.get_world_size()


def leave_process_group() -> None:
    """Wait for the other ranks and end the communication; rank 0 continues alone."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
