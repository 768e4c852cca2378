"""ZeroCost: a zero-cost proxy as a predictor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from naslib.errors import ConfigError, PredictorError
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Task
from naslib.utils.encodings import EncodingType
from naslib.utils.log import get_logger

from .base import Codes, Predictor
from .proxies.compute import compute_proxy, maximizes
from .proxies.scoring import checked_proxies, first_batches, seed_of_code, seeded_network

logger = get_logger(__name__)

_FLOWS = ("synflow", "logsynflow")


class ZeroCost(Predictor):
    """Predict by a zero-cost proxy of the untrained network: nothing is fitted, larger is better.

    A value is that of `compute_proxy`, with three changes: `synflow` and `logsynflow` on a logarithmic scale (NASLib's
    does so for `synflow`), proxies of which less is better negated (`ntk`), and `failed` where a proxy is not defined
    for a network (a flow of zero among them). Of architectures the network is built anew, its weights drawn from the
    seed and the architecture; a module that is no graph is taken as it is.

    Args:
        method_type: The proxy (see `naslib list proxies`).
        space: The search space, which codes need; graphs of an architecture are their own.
        encoding_type: Of no effect.
        seed: Of weights and of what the proxy draws.
        batch: A batch to compute it on, or a list of batches; None: see `pre_process`.
        task: What learning means; classification if None.
        network_args: Arguments of the space's `evaluation_network`, for networks of another size.
        failed: What stands for values that do not exist (NASLib's -1e8); None raises instead.
        **options: Keywords of the proxy.

    Raises:
        UnknownNameError: For a proxy that there is not.
        ConfigError: For an option that it does not take.
    """

    MIN_LABELS = 0

    def __init__(
        self,
        method_type: str = "jacov",
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
        batch: Any = None,
        task: Task | None = None,
        network_args: Mapping[str, Any] | None = None,
        failed: float | None = -1e8,
        **options: Any,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed)
        checked_proxies([method_type], {method_type: options})
        self.method_type = method_type
        self.batch, self.task, self.failed = batch, task if task is not None else Classification(), failed
        self.network_args, self.options = network_args, options
        self.is_fitted = True
        self._builds = self.space
        self._values: dict[Any, float] = {}

    def pre_process(self, dataloader: Any = None, task: Task | None = None) -> None:
        """Take the first batch of a loader (two for `zico`) as the data, and a task.

        Args:
            dataloader: Any iterable of batches; None keeps the data.
            task: What learning means; None keeps the task.

        Raises:
            DataError: If the loader is too short.
        """
        if dataloader is not None:
            self.batch = first_batches(dataloader, 2 if self.method_type.lower() == "zico" else 1)
        if task is not None:
            self.task = task
        self._values.clear()

    def fit(self, xtrain: Sequence[Any] = (), ytrain: Sequence[float] = (), train_info: Any = None) -> None:
        """Do nothing: a proxy has nothing to learn."""

    def query(self, xtest: Any, info: Any = None, dataloader: Any = None) -> Any:
        """Return values of architectures.

        Args:
            xtest: n codes, graphs with one, or modules; or one graph or module, as NASLib asks.
            info: Not used; a data loader where NASLib's runners give one beside a graph.
            dataloader: Where the batch comes from; None for the data that the predictor has.

        Returns:
            `(n,)` float64; of one graph or module a float.

        Raises:
            PredictorError: Without data; or if `failed` is None and the proxy is not defined for a network.
        """
        is_one = isinstance(xtest, nn.Module)
        if dataloader is None and is_one and info is not None and not isinstance(info, Mapping):
            dataloader = info
        if dataloader is not None:
            self.pre_process(dataloader)
        if is_one:
            return self._value(xtest)
        return np.asarray([self._value(architecture) for architecture in xtest], dtype=np.float64)

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> None:
        """Do nothing."""

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        return np.asarray([self._value(code) for code in codes], dtype=np.float64), None

    def _value(self, architecture: Any) -> float:
        """Return the value of a code, a graph with one, or a module."""
        if self.batch is None:
            raise PredictorError(
                f"ZeroCost({self.method_type!r}) has no data: give it batch=..., or call pre_process(dataloader), or "
                "query(architecture, dataloader=...)"
            )
        is_network = isinstance(architecture, nn.Module) and not isinstance(architecture, Graph)
        code = None if is_network else self.codes_of([architecture])[0]
        is_known_by_code = code is not None and not isinstance(architecture, Graph)  # a graph has sizes of its own
        if is_known_by_code and code in self._values:
            return self._values[code]
        try:
            value = self._oriented(self._computed(architecture, code))
        except PredictorError as error:
            if self.failed is None:
                raise
            logger.debug("%s of %s counts as %s: %s", self.method_type, code, self.failed, error)
            value = self.failed
        if is_known_by_code:
            self._values[code] = value
        return value

    def _computed(self, architecture: Any, code: Any) -> float:
        network, seed = architecture, self.seed
        if code is not None:
            seed = seed_of_code(self.seed, code)
            if isinstance(architecture, Graph):
                network = seeded_network(architecture, None, seed, self.network_args)
            elif self._builds is not None:
                network = seeded_network(self._builds, code, seed, self.network_args)
            else:
                raise ConfigError("ZeroCost builds the networks of codes: give it space=... as a graph")
        return compute_proxy(self.method_type, network, self.task, self.batch, seed, **self.options)

    def _oriented(self, value: float) -> float:
        if self.method_type.lower() in _FLOWS:
            if value <= 0:
                raise PredictorError(f"{self.method_type} of this network is {value}, which has no logarithm")
            return math.log(value)
        return value if maximizes(self.method_type) else -value
