"""The keys of a config, their types, ranges and defaults: the one table everything else is derived from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _on_off(value: Any) -> Any:
    """Turn YAML's reading of the bare words on and off back into the words."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


Count = Annotated[int, Field(ge=1)]
NotNegativeInt = Annotated[int, Field(ge=0)]
# numpy takes no larger seed
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
# of a path to survive: at 1 nothing would be left to divide by
DropProbability = Annotated[float, Field(ge=0, lt=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Portion = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda|mps|xpu|hpu|mtia)(:\d+)?$")]
OffAutoOn = Annotated[Literal["off", "auto", "on"], BeforeValidator(_on_off)]


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class SearchKeys(_Keys):
    """The section `search`: shared by all optimizers, each of which may add the keywords of its `__init__`."""

    checkpoint_freq: Count = Field(5, description="write a numbered checkpoint every so many epochs")
    batch_size: Count = Field(64, description="images per batch")
    accumulate: Count = Field(1, description="go over each batch in so many passes, with the memory of one of them")
    sync_batch_norm: bool = Field(False, description="on several ranks: batch norm by the rows of all of them")
    learning_rate: Positive = Field(0.025, description="of the network weights, at the first epoch")
    learning_rate_min: NotNegative = Field(0.001, description="of the network weights, at the last epoch (cosine)")
    momentum: Momentum = Field(0.9, description="of the weight optimizer")
    weight_decay: NotNegative = Field(3e-4, description="of the network weights")
    epochs: NotNegativeInt = Field(50, description="of the search; evaluations for methods that train no supernet")
    grad_clip: NotNegative | None = Field(5.0, description="norm to which weight gradients are clipped; 0 or null: off")
    train_portion: Portion = Field(0.5, description="share that trains weights; the rest trains the architecture")
    cutout: bool = Field(False, description="cut a square out of training images")
    cutout_length: Count = Field(16, description="side of the square in pixels")
    cutout_prob: Probability = Field(1.0, description="share of images that are cut")
    unrolled: bool = Field(False, description="second-order architecture step (darts)")
    arch_learning_rate: Positive = Field(3e-4, description="of the architecture parameters")
    arch_weight_decay: NotNegative = Field(1e-3, description="of the architecture parameters")
    tau_max: Positive = Field(10.0, description="temperature at the first epoch (gdas)")
    tau_min: Positive = Field(0.1, description="temperature at the last epoch (gdas)")
    fidelity: int = Field(200, ge=-1, description="epochs of training at which a benchmark is asked; -1: the longest")
    sample_size: Count = Field(10, description="tournament size (regularized evolution)")
    population_size: Count = Field(100, description="architectures alive (regularized evolution)")
    num_init: Count = Field(10, description="architectures drawn before the first model")
    k: Count = Field(10, description="architectures evaluated per round")
    num_ensemble: Count = Field(3, description="predictors that vote")
    acq_fn_type: Name = Field("its", description="acquisition function")
    acq_fn_optimization: Name = Field("mutation", description="where candidates come from")
    encoding_type: Name = Field("path", description="how an architecture becomes numbers")
    num_arches_to_mutate: Count = Field(2, description="parents per round")
    max_mutations: Count = Field(1, description="mutations per child")
    num_candidates: Count = Field(100, description="candidates per round")
    predictor_type: Name = Field("var_sparse_gp", description="performance predictor")
    loss_criteria: Name = Field("CrossEntropyLoss", description="a criterion of torch.nn, of search and retraining")
    op_optimizer: Name = Field("SGD", description="an optimizer of torch.optim, for the weights")
    arch_optimizer: Name = Field("Adam", description="an optimizer of torch.optim, for the architecture parameters")
    nesterov: bool = Field(False, description="Nesterov momentum in the weight optimizer")
    batch_norm: Literal["running", "batch"] = Field("running", description="statistics when the supernet is evaluated")
    hessian: Literal["finite_difference", "exact"] = Field(
        "finite_difference", description="how the second-order step gets its product"
    )
    amp: bool = Field(False, description="mixed precision on accelerators")
    channels_last: Literal["auto"] | bool = Field("auto", description="memory format of images")
    checkpoint_steps: NotNegativeInt = Field(0, description="also write a checkpoint every so many steps; 0: never")
    save_arch_weights: bool = Field(True, description="record the architecture parameters over time")
    native: OffAutoOn = Field("off", description="fused kernels of our own")
    scheduler: Name = Field("cosine", description="learning-rate schedule by name (see below)")
    scheduler_args: dict[str, Any] = Field(default_factory=dict, description="its arguments, as torch calls them")
    warmup_epochs: NotNegativeInt = Field(0, description="epochs in which the learning rate rises linearly")
    label_smoothing: Probability = Field(
        0.0, description="share of each label that is spread over all classes, in the search's loss"
    )
    evaluator: Name | None = Field(
        None, description="what gives a trial its values (black-box methods); null: a table if there is one, else train"
    )
    evaluator_args: dict[str, Any] = Field(default_factory=dict, description="its keywords")
    objectives: list[Name] | None = Field(None, description="metrics or scores; the first decides; null: the usual one")
    hardware: dict[str, Any] = Field(
        default_factory=dict, description="where latencies and energies come from: a device, a table, here"
    )
    limits: dict[str, Any] = Field(
        default_factory=dict, description="upper bounds of params, macs, memory, latency, energy"
    )
    budget: Positive | None = Field(None, description="seconds of evaluation to search for; null: `epochs` evaluations")
    budget_unit: Literal["seconds", "epochs"] = Field("seconds", description="what the budget counts")
    workers: Count = Field(1, description="trials that are evaluated at a time")
    executor: Name | None = Field(None, description="serial, process or ray; null: serial for one worker")
    executor_args: dict[str, Any] = Field(default_factory=dict, description="what else an executor is told (ray)")
    tell: Literal["by_number", "by_arrival"] | None = Field(
        None, description="in which order results are told; null: by_number, or what suits the method with ray"
    )


class EvaluationKeys(_Keys):
    """The section `evaluation`: what happens with the architecture that was found."""

    checkpoint_freq: Count = Field(30, description="write a numbered checkpoint every so many epochs")
    batch_size: Count = Field(96, description="images per batch")
    accumulate: Count = Field(1, description="go over each batch in so many passes, with the memory of one of them")
    sync_batch_norm: bool = Field(False, description="on several ranks: batch norm by the rows of all of them")
    learning_rate: Positive = Field(0.025, description="at the first epoch")
    learning_rate_min: NotNegative = Field(0.0, description="at the last epoch (cosine)")
    op_optimizer: Name = Field("SGD", description="an optimizer of torch.optim, for the weights")
    momentum: Momentum = Field(0.9, description="of SGD")
    weight_decay: NotNegative = Field(3e-4, description="of the weights")
    epochs: NotNegativeInt = Field(600, description="of training the found network from scratch")
    grad_clip: NotNegative | None = Field(5.0, description="norm to which gradients are clipped; 0 or null: off")
    train_portion: Portion = Field(1.0, description="share of the training split to train on; the rest validates")
    cutout: bool = Field(True, description="cut a square out of training images")
    cutout_length: Count = Field(16, description="side of the square in pixels")
    cutout_prob: Probability = Field(1.0, description="share of images that are cut")
    drop_path_prob: DropProbability = Field(0.2, description="share of dropped paths at the last epoch (from 0)")
    drop_path: Literal["auto", "epochs", "v1", "v2", "v3"] = Field(
        "auto", description="how that rises: by epochs, step (v1), cell (v2) or both (v3); auto: the network's own"
    )
    auxiliary_weight: NotNegative = Field(0.4, description="of the auxiliary head's loss")
    averaging: Count | None = Field(
        None, description="average weights once validation was better so many epochs ago; null: never"
    )
    mode: Literal["auto", "query", "retrain"] = Field(
        "auto", description="ask a benchmark, or train; auto: ask if it can answer"
    )
    genotype: Any = Field(
        None, description="an architecture to evaluate instead of searching: text, FILE[:NAME] or a run folder"
    )
    cells: Count | None = Field(None, description="cells of the network that is trained; null: the space's own")
    channels: Count | None = Field(None, description="its initial channels; null: the space's own")
    auxiliary: bool | None = Field(None, description="whether it has an auxiliary head; null: the space's own")
    network_args: dict[str, Any] = Field(default_factory=dict, description="further arguments of that network")
    amp: bool = Field(False, description="mixed precision on accelerators")
    loss_criteria: Name | None = Field(None, description="a criterion for the retraining alone; null: the search's")
    scheduler: Name = Field("cosine", description="learning-rate schedule by name (see below)")
    scheduler_args: dict[str, Any] = Field(default_factory=dict, description="its arguments, as torch calls them")
    warmup_epochs: NotNegativeInt = Field(0, description="epochs in which the learning rate rises linearly")
    label_smoothing: Probability = Field(
        0.0, description="share of each label that is spread over all classes, in training"
    )


class ConfigKeys(_Keys):
    """A run of naslib: what is searched, where, with what, and what is done with the outcome."""

    dataset: Name = Field("cifar10", description="name of a registered data set")
    seed: Seed = Field(99, description="of everything random")
    search_space: Name = Field("nasbench201", description="name of a registered search space")
    out_dir: Name = Field("run", description="folder of all runs")
    optimizer: Name = Field("darts", description="name of a registered optimizer")
    data: Name | None = Field(None, description="folder of data sets and benchmark tables; null: NASLIB_DATA or ./data")
    dataset_args: dict[str, Any] = Field(default_factory=dict, description="keywords of the data set")
    search_space_args: dict[str, Any] = Field(default_factory=dict, description="keywords of the search space")
    task: Name | None = Field(None, description="what is learned; null: what the data set declares")
    task_args: dict[str, Any] = Field(default_factory=dict, description="keywords of the task")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1 ...; auto: an accelerator if there is one")
    workers: NotNegativeInt = Field(0, description="processes that load streamed data")
    threads: Literal["auto"] | Count | None = Field(
        "auto", description="of the CPU; auto: measured at the start; null: torch's own number"
    )
    search: SearchKeys = Field(default_factory=lambda: SearchKeys.model_validate({}))
    evaluation: EvaluationKeys = Field(default_factory=lambda: EvaluationKeys.model_validate({}))


SECTIONS: dict[str, type[_Keys]] = {"search": SearchKeys, "evaluation": EvaluationKeys}
TOP_KEYS = tuple(ConfigKeys.model_fields)
SEARCH_KEYS = tuple(SearchKeys.model_fields)
EVALUATION_KEYS = tuple(EvaluationKeys.model_fields)

# Search keys of methods that evaluate trials: with any other they are an error.
TRIAL_KEYS = (
    *("evaluator", "evaluator_args", "objectives", "budget", "budget_unit"),
    *("workers", "executor", "executor_args", "tell"),
)

# Search keys that only an optimizer reads; the others belong to the Trainer and always have their effect.
OPTIMIZER_KEYS = frozenset(
    (
        *("learning_rate", "momentum", "weight_decay", "grad_clip", "nesterov", "op_optimizer", "loss_criteria"),
        *("label_smoothing", "accumulate", "sync_batch_norm"),
        *("arch_learning_rate", "arch_weight_decay", "arch_optimizer", "unrolled", "hessian", "tau_max", "tau_min"),
        *("fidelity", "sample_size", "population_size", "num_init", "k", "num_ensemble", "predictor_type"),
        *("acq_fn_type", "acq_fn_optimization", "encoding_type", "num_candidates"),
        *("num_arches_to_mutate", "max_mutations"),
    )
)


def defaults() -> dict[str, Any]:
    """Return every key with its default, as plain nested dictionaries."""
    return ConfigKeys.model_validate({}).model_dump()


def keys_of(section: str) -> tuple[str, ...]:
    """Return the key names of a section; `""` is the top level."""
    return tuple((SECTIONS[section] if section else ConfigKeys).model_fields)
