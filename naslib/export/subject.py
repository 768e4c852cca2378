"""Subject: a trained network, how it is fed, and what is known of it."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from naslib.data.info import height_and_width
from naslib.data.preprocess import Preprocess
from naslib.data.preprocess_sequences import SequencePreprocess
from naslib.errors import CheckpointError, ConfigError, NASLibError, did_you_mean
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import LanguageModelling, Regression, Task
from naslib.tasks.few_shot import FewShot
from naslib.training.export import FILE, NetworkRecord, TrainedNetwork, load_network
from naslib.utils.files import to_jsonable
from naslib.utils.seeding import rng_restore, rng_snapshot

from .checks import trial_inputs

# So many inputs the formats are made with; any number goes in
_EXAMPLES = 2


@dataclass(frozen=True)
class ExportSubject:
    """What is exported.

    Attributes:
        network: In evaluation mode, on the CPU; a copy.
        frozen: The same with parameters that want no gradients.
        inputs: `(2, ...)` of what it takes.
        task: What was learned; None where that is not known.
        preprocess: Makes its inputs; None where loaders of a person's own did.
        class_names: Of classes, or of values; None where there are none.
        space: Name of the search space, or of the class.
        genotype: The architecture as plain values, None where it has none.
        folder: The run folder, None where there is none.
        summary: The run's `summary.json`; {} where there is none.
        environment: The run's `environment.json`, likewise.
        config: The run's `config.yaml`, likewise.
        digest: The first 12 digits of the SHA-256 of `config.yaml`.
    """

    network: nn.Module
    frozen: nn.Module
    inputs: Tensor
    task: Task | None
    preprocess: Preprocess | SequencePreprocess | None
    class_names: list[str] | None
    space: str
    genotype: Any = None
    folder: Path | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    digest: str | None = None

    @property
    def input_name(self) -> str:
        """What the inputs are called: images, sequences or tokens; inputs where they are none of these."""
        if not self.inputs.is_floating_point():
            return "tokens"
        return {4: "images", 3: "sequences"}.get(self.inputs.dim(), "inputs")

    @property
    def output_name(self) -> str:
        """What the outputs are called: logits, values or embeddings; outputs where the task is not known."""
        if self.task is None:
            return "outputs"
        if isinstance(self.task, FewShot):
            return "embeddings"
        return "values" if isinstance(self.task, Regression) else "logits"

    @property
    def genotype_hash(self) -> str | None:
        """The first 16 digits of the SHA-256 of the genotype as JSON with sorted keys; None where there is none."""
        if self.genotype is None:
            return None
        text = json.dumps(to_jsonable(self.genotype), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def subject_of(target: Any, example_inputs: Tensor | None = None, class_names: Any = None) -> ExportSubject:
    """Return what is exported of a run, or of a network.

    Args:
        target: A run folder, what `load_network` returned, a graph or any module.
        example_inputs: Inputs of the network, `(n, ...)`; required where nothing says their shape.
        class_names: One per class, where the network does not know them.

    Raises:
        CheckpointError: If the run has no trained network, or it is damaged.
        ConfigError: If nothing says what the inputs are.
    """
    run: dict[str, Any] = {}
    record: NetworkRecord | None = None
    if isinstance(target, str | Path):
        folder = _run_folder(Path(target))
        record = NetworkRecord.read(folder / "eval")
        random_state = rng_snapshot()  # a network is built with fresh weights first
        target, run = load_network(folder), _facts(folder)
        rng_restore(random_state)
    if not isinstance(target, nn.Module):
        raise ConfigError(f"expected a run folder or a network, got {type(target).__name__}")
    trained = target if isinstance(target, TrainedNetwork) else None
    network: nn.Module = trained.network if trained is not None else target
    task = trained.task if trained is not None else None
    preprocess = trained.preprocess if trained is not None else None
    names = class_names if class_names is not None else trained.class_names if trained is not None else None
    if example_inputs is None:
        example_inputs = _example(network, task, preprocess, record)
    network = _ready(network)
    space = network.get_type() if isinstance(network, Graph) else type(network).__name__
    return ExportSubject(
        network=network,
        frozen=_ready(network).requires_grad_(False),
        inputs=_pair(example_inputs),
        task=task,
        preprocess=copy.deepcopy(preprocess).cpu() if preprocess is not None else None,
        class_names=[str(name) for name in names] if names is not None else None,
        space=str(run.get("summary", {}).get("search_space") or space),
        genotype=run.get("summary", {}).get("genotype") or _genotype(network),
        **run,
    )


def _run_folder(folder: Path) -> Path:
    """Return a folder with a network; that of the run where one inside it is named."""
    for candidate in (folder, folder.parent):
        if (candidate / "eval" / FILE).is_file():
            return candidate
    if not folder.is_dir():
        near = [path.name for path in folder.absolute().parent.glob("*/")] if folder.absolute().parent.is_dir() else []
        raise CheckpointError(f"there is no run folder {folder}{did_you_mean(folder.name, near)}")
    return folder


def _facts(folder: Path) -> dict[str, Any]:
    """Return what the files of a run say; what cannot be read is left out."""
    config, digest = {}, None
    try:
        content = (folder / "config.yaml").read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        config = yaml.safe_load(content)
    except (OSError, ValueError, yaml.YAMLError):
        config = {}
    return {
        "folder": folder.resolve(),
        "summary": _json(folder / "summary.json"),
        "environment": _json(folder / "environment.json"),
        "config": config if isinstance(config, dict) else {},
        "digest": digest,
    }


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _ready(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode on the CPU."""
    twin: nn.Module = network.clone() if isinstance(network, Graph) else copy.deepcopy(network)
    if isinstance(twin, Graph) and not twin.is_parsed:
        twin.parse()
    return twin.cpu().eval()


def _example(
    network: nn.Module,
    task: Task | None,
    preprocess: Preprocess | SequencePreprocess | None,
    record: NetworkRecord | None,
) -> Tensor:
    """Return inputs of a network by what is known of it.

    Raises:
        ConfigError: If nothing says their shape.
    """
    shape: Any = record.input_shape if record is not None else None
    if shape is None and isinstance(preprocess, Preprocess):
        shape = (preprocess.in_channels, *height_and_width(preprocess.image_size))
    if shape is None and task is not None:
        shape = task.input_shape
    if shape is None:
        raise ConfigError(
            "nothing says what the inputs of this network are: give example_inputs=, a tensor (n, ...) of them"
        )
    generator = torch.Generator().manual_seed(0)
    vocabulary = _vocabulary(network, task, preprocess)
    if vocabulary:
        return torch.randint(vocabulary, (_EXAMPLES, *shape), generator=generator)
    return torch.randn((_EXAMPLES, *shape), generator=generator)


def _vocabulary(network: nn.Module, task: Task | None, preprocess: Any) -> int:
    """Return how many different tokens a network reads; 0 where it reads numbers."""
    if isinstance(preprocess, SequencePreprocess):
        return preprocess.vocabulary
    if isinstance(preprocess, Preprocess) or task is None or not task.TAKES_TOKENS:
        return 0
    tables = [module.num_embeddings for module in network.modules() if isinstance(module, nn.Embedding)]
    if isinstance(task, LanguageModelling):
        return tables[0] if tables else int(task.output_size or 2)
    return tables[0] if tables else 0


def _pair(inputs: Tensor) -> Tensor:
    """Return two random inputs of a kind on the CPU: files keep what they are made with, and no data belongs there.

    Two, because a format that is made with one may take one alone.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() < 1 or len(inputs) < 1:
        raise ConfigError("example_inputs is a tensor (n, ...) of at least one input")
    return trial_inputs(inputs.detach().cpu(), _EXAMPLES)


def _genotype(network: nn.Module) -> Any:
    try:
        return to_jsonable(network.genotype()) if isinstance(network, Graph) else None
    except (NASLibError, NotImplementedError):
        return None
