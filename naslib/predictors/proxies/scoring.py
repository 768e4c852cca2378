"""ProxyScorer: proxies of the fresh networks of a space's architectures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError, DataError, PredictorError
from naslib.registry.catalogue import PROXIES
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Task
from naslib.utils.seeding import derive_seed, rng_restore, rng_snapshot

from .az_nas import AZ_PARTS
from .compute import check_options, compute_parts, maximizes


class ProxyScorer:
    """Build the networks of architectures and compute proxies of them, one after the other.

    A score is a function of the architecture and a seed: the weights and everything that a proxy draws come from the
    seed. The global generators are left as they were.

    Args:
        space: The search space; not changed.
        task: What learning means.
        batch: One batch, or a list of batches: `zico` uses all, others the first.
        names: Proxies by name.
        seed: Of architectures that are given none of their own.
        network_args: Arguments of the space's `evaluation_network`, for networks of another size.
        options: Keywords of proxies, by proxy.
        device: Where they are computed.

    Attributes:
        parts: Names of the scores: those of the proxies, and four of `az_nas`.
        maximize: For each part, whether more is better.

    Raises:
        UnknownNameError: For a proxy that there is not.
        ConfigError: For options of a proxy that is not asked for, or that it does not take.
    """

    def __init__(
        self,
        space: Graph,
        task: Task,
        batch: Any,
        names: Sequence[str],
        *,
        seed: int = 0,
        network_args: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.names, self.options = checked_proxies(names, options)
        self.space, self.task, self.batch, self.seed = space, task, batch, seed
        self.network_args = dict(network_args) if network_args is not None else None
        self.device = torch.device(device)
        self.parts = [part for name in self.names for part in parts_of(name)]
        self.maximize = [maximizes(part) for part in self.parts]

    def network(self, code: Any, seed: int | None = None) -> nn.Module:
        """Return the network of an architecture, its weights drawn from a seed."""
        own = self._seed_of(code, seed)
        return seeded_network(self.space, code, own, self.network_args).to(self.device)

    def scores(self, code: Any, seed: int | None = None) -> dict[str, float]:
        """Return the proxies of an architecture by name, those of `az_nas` in four parts.

        Args:
            code: The architecture.
            seed: Of weights and draws; None for one that depends on the scorer's seed and the architecture.

        Raises:
            PredictorError: If a proxy is not defined for its network.
        """
        network, found = self.network(code, seed), {}
        for name in self.names:
            options = self.options.get(name, {})
            found.update(compute_parts(name, network, self.task, self.batch, self._seed_of(code, seed), **options))
        return found

    def table(self, codes: Iterable[Any]) -> list[dict[str, float]]:
        """Return the scores of architectures, a dictionary each, as predictors take them for `info`.

        Raises:
            PredictorError: If a proxy is not defined for one of the networks; it names the architecture.
        """
        found = []
        for code in codes:
            try:
                found.append(self.scores(code))
            except PredictorError as error:
                raise PredictorError(f"{code}: {error}") from error
        return found

    def _seed_of(self, code: Any, seed: int | None) -> int:
        return seed if seed is not None else seed_of_code(self.seed, code)


def seed_of_code(seed: int, code: Any) -> int:
    """Return the seed of the network of an architecture."""
    return derive_seed(seed, "proxy", *(int(gene) for gene in code))


def seeded_network(space: Graph, code: Any, seed: int, network_args: Mapping[str, Any] | None = None) -> nn.Module:
    """Return what `fresh_network` returns, its weights drawn from a seed; the global generators are left as they were.

    Args:
        space: See `fresh_network`.
        code: Likewise.
        seed: Any integer >= 0.
        network_args: See `fresh_network`.
    """
    before = rng_snapshot()
    try:
        torch.default_generator.manual_seed(seed % 2**63)
        return fresh_network(space, code, network_args)
    finally:
        rng_restore(before)


def checked_proxies(
    names: Sequence[str], options: Mapping[str, Mapping[str, Any]] | None
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the names and options of proxies in lower case.

    Raises:
        UnknownNameError: For a proxy that there is not.
        ConfigError: For none, one twice, or options that do not fit.
    """
    lower = [str(name).lower() for name in names]
    if not lower:
        raise ConfigError(f"name at least one proxy (known: {', '.join(PROXIES.names())})")
    twice = sorted({name for name in lower if lower.count(name) > 1})
    if twice:
        raise ConfigError(f"the proxy {', '.join(twice)} is there twice")
    own = {str(name).lower(): dict(keywords) for name, keywords in (options or {}).items()}
    for name in lower:
        PROXIES.get(name)
        check_options(name, own.get(name, {}))
    for name in own:
        if name not in lower:
            raise ConfigError(f"options of {name}, which is not among the proxies: {', '.join(lower)}")
    return lower, own


def first_batches(loader: Any, n: int) -> list[Any]:
    """Return the first n batches of a loader.

    Raises:
        DataError: If it has fewer.
    """
    found = list(islice(iter(loader), n))
    if len(found) < n:
        raise DataError(f"{n} batches are asked for, and the loader has {len(found)}")
    return found


def parts_of(name: str) -> list[str]:
    """Return the names of the scores of a proxy: itself, or the four of `az_nas`."""
    return [f"az_nas.{part}" for part in AZ_PARTS] if name == "az_nas" else [name]
