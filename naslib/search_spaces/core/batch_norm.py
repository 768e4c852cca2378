"""Batch normalization: from search to evaluation, and the one switch 'batch statistics, update nothing'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from naslib.search_spaces.core.kernels.bypassing import count_batch as count_batch

from .given_weights import wholly_frozen

M = TypeVar("M", bound=nn.Module)


def batch_norm_modules(module: nn.Module) -> list[_BatchNorm]:
    """Return all batch-norm modules in a network, each once."""
    return [child for child in module.modules() if isinstance(child, _BatchNorm)]


def make_batch_norm_affine(module: M) -> M:
    """Give every BN without weight and bias a weight of ones and a bias of zeros, in place.

    Outputs stay what they were, and so do running statistics. A module that is frozen stays as it is.

    Args:
        module: The network.

    Returns:
        The same network.
    """
    frozen = wholly_frozen(module)
    for norm in batch_norm_modules(module):
        if norm.affine or id(norm) in frozen:
            continue
        like = next((t for t in (norm.running_mean, *module.parameters()) if t is not None), torch.empty(0))
        norm.affine = True
        norm.weight = nn.Parameter(torch.ones(norm.num_features, device=like.device, dtype=like.dtype))
        norm.bias = nn.Parameter(torch.zeros(norm.num_features, device=like.device, dtype=like.dtype))
    return module


# On a BN whose running statistics `use_batch_statistics` took, so that they can be given back; one that its author made
# without them never carries it. In `__dict__`, so that it goes along with copies and pickles.
_TAKEN = "_running_statistics_taken"


def use_batch_statistics(module: M) -> M:
    """Let every BN normalise by the batch, in evaluation as well: running statistics are removed, in place.

    `use_running_statistics` takes that back. A module that is frozen keeps its statistics.
    """
    frozen = wholly_frozen(module)
    for norm in batch_norm_modules(module):
        if id(norm) in frozen:
            continue
        if norm.track_running_stats:
            norm.__dict__[_TAKEN] = True
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return module


def has_lost_running_statistics(module: nn.Module) -> bool:
    """Return whether `use_batch_statistics` has taken running statistics from a network."""
    return any(_TAKEN in norm.__dict__ for norm in batch_norm_modules(module))


def use_running_statistics(module: M) -> M:
    """Give every BN that lost them to `use_batch_statistics` fresh running statistics, in place.

    A BN that was made without running statistics stays without.

    Args:
        module: The network.

    Returns:
        The same network.
    """
    parameters = list(module.parameters())
    for norm in batch_norm_modules(module):
        if not norm.__dict__.pop(_TAKEN, False):
            continue
        like = next((t for t in (norm.weight, *parameters) if t is not None), torch.empty(0))
        norm.track_running_stats = True
        norm.running_mean = torch.zeros(norm.num_features, device=like.device, dtype=like.dtype)
        norm.running_var = torch.ones_like(norm.running_mean)
        norm.num_batches_tracked = torch.zeros((), device=like.device, dtype=torch.long)
    return module


@contextmanager
def frozen_batch_norm_statistics(module: nn.Module | Iterable[nn.Module]) -> Iterator[None]:
    """Let BN in training mode normalise by the batch and update nothing.

    Running statistics and their counter are not even passed to the kernel, so that transforms of `torch.func` work.
    BN in evaluation mode is not concerned. May be nested; the former state returns on leaving, also by an exception.

    Args:
        module: A network, or its BN modules (`batch_norm_modules`), which saves walking the network in hot loops.
    """
    if isinstance(module, nn.Module):
        norms: list[nn.Module] = list(batch_norm_modules(module))
    else:
        norms = list(module)
    tracking = [norm for norm in norms if isinstance(norm, _BatchNorm) and norm.track_running_stats]
    for norm in tracking:
        norm.__dict__["track_running_stats"] = False  # past torch's __setattr__, which costs 5 us
    try:
        yield
    finally:
        for norm in tracking:
            norm.__dict__["track_running_stats"] = True


@contextmanager
def repeated_forward(norms: Sequence[_BatchNorm], tracked: Sequence[bool]) -> Iterator[None]:
    """Let a forward be run again as it was, without updating running statistics a second time.

    The statistics are passed to the kernel as in the first run, which saves them for the backward, with momentum 0.

    Args:
        norms: The BN modules of the forward.
        tracked: Whether each of them kept running statistics in the first run.
    """
    before = [(norm.track_running_stats, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm, tracks in zip(norms, tracked, strict=True):
        norm.track_running_stats, norm.momentum, norm.num_batches_tracked = tracks, 0.0, None
    try:
        yield
    finally:
        for norm, (tracks, momentum, count) in zip(norms, before, strict=True):
            norm.track_running_stats, norm.momentum, norm.num_batches_tracked = tracks, momentum, count


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode, and every module in its former mode on leaving, also by an exception."""
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes:
            child.training = mode


@contextmanager
def measurement_mode(module: nn.Module) -> Iterator[None]:
    """Let forwards compute what a network in search is worth: nothing random, batch statistics, nothing updated.

    All is in evaluation mode (dropout and drop-path drop nothing, what is sampled in training is taken at its mean)
    except BN, which normalises by the batch: in a search its running statistics lag behind the weights, and are those
    of all paths together.

    Args:
        module: The network.
    """
    norms = batch_norm_modules(module)
    with evaluation_mode(module), frozen_batch_norm_statistics(norms):
        for norm in norms:
            norm.training = True
        yield
