"""Look an architecture up in a benchmark instead of training it."""

from __future__ import annotations

from typing import Any

from naslib.benchmarks.lookup import get_dataset_api
from naslib.errors import ArchitectureError, BenchmarkApiMissing, BenchmarkError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.training.decisions_record import describe_decisions
from naslib.training.report import EvaluationResult
from naslib.training.space_record import constructor_arguments
from naslib.utils.files import to_jsonable
from naslib.utils.log import get_logger

logger = get_logger(__name__)


def queried(architecture: Graph, api: Any, metric: Metric, dataset: str) -> EvaluationResult:
    """Return what a benchmark says about an architecture: a metric, and its sizes where it knows them."""

    def ask(asked: Metric) -> float:
        return float(architecture.query(asked, dataset, dataset_api=api))

    has = getattr(api, "has", lambda *_: False)
    sizes = [ask(m) if has(m, dataset) else None for m in (Metric.PARAMETERS, Metric.FLOPS)]
    value = ask(metric)
    logger.info("the benchmark's %s of the architecture found is %.2f", metric.name.lower(), value)
    return EvaluationResult("query", architecture, value, params_millions=sizes[0], flops_millions=sizes[1])


def check_networks(api: Any, space: Graph) -> None:
    """Raise if a benchmark that says what networks it is of is of others than those of a space.

    Raises:
        BenchmarkError: Naming what differs.
    """
    check = getattr(api, "check_space", None)
    if check is not None:
        is_discrete = space._code is not None  # then its decisions are made
        check(to_jsonable(constructor_arguments(space)), None if is_discrete else describe_decisions(space))


def _check_known(api: Any, architecture: Graph) -> None:
    """Raise if a table that is not complete says that it lacks an architecture.

    Raises:
        ArchitectureError: Naming what there is.
    """
    has_code, code = getattr(api, "has_code", None), architecture.get_code()
    if has_code is not None and not has_code(code):
        api.index_of(code)


def benchmark_for(architecture: Any, config: Any, given: Any) -> Any:
    """Return the benchmark to query, None to train.

    Args:
        architecture: What is evaluated.
        config: Its `evaluation.mode` decides.
        given: A benchmark; None to look for one in the data directory.

    Raises:
        BenchmarkError: With `evaluation.mode=query`, where none answers.
    """
    mode = config.evaluation.get("mode", "auto")
    if mode == "retrain":
        return None
    queryable = isinstance(architecture, Graph) and (architecture.QUERYABLE or given is not None)
    dataset = config.dataset
    if not queryable:
        if mode == "query":
            raise BenchmarkApiMissing(
                f"evaluation.mode=query: {type(architecture).__name__} is in no benchmark; use retrain"
            )
        return None
    try:
        api = given if given is not None else get_dataset_api(architecture.get_type(), dataset, config.get("data"))
        check_networks(api, architecture)
        _check_known(api, architecture)
    except (BenchmarkError, ArchitectureError) as error:
        if mode == "query":
            raise
        logger.info("no benchmark answers, so the network is trained: %s", error)
        return None
    knows = getattr(api, "knows", None)
    if mode == "auto" and callable(knows) and not knows(dataset):
        return None
    return api
