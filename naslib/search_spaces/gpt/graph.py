"""Language models whose depth, width, heads, MLP ratios and biases are decisions, of entangled weights."""

from __future__ import annotations

from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.elastic import (
    BlockKind,
    BlockSizes,
    ElasticSequential,
    TransformerBlock,
    checked_dropout,
)
from naslib.search_spaces.core.elastic.choices import Given, choice, listed, preset_named
from naslib.search_spaces.core.transformer_space import TransformerSpace

from .presets import PRESETS, GPTChoices
from .primitives import WordHead, WordStem
from .spellings import read_spec

_POSITIONS = ("rotary", "learned")


class GPTSearchSpace(TransformerSpace):
    """The space of HW-GPT-Bench ([Sukthanker2024hwgptbench]): one language model, of which all others are slices.

    It reads tokens and gives logits for the next token at each position; no position reads what comes after it.

    Makrograph: 1 tokens, 2 vectors, 3 vectors behind the layers, 4 logits. Decisions: `embed`, features of a token;
    `depth`, how many layers; `bias`, whether attention and linear layers have biases (0 or 1); and for each layer
    `block_3/heads` and `block_3/mlp_ratio`, which are not decided for layers beyond the depth. Queries, keys and values
    have `head_dim` features per head, whatever `embed` is.

    Args:
        n_classes: Number of tokens, where `vocabulary` is 0.
        in_channels: Not used.
        preset: Choices by name: `"s"`, `"m"` and `"l"` are those of the benchmark; `"mini"` is for small texts. What
            follows replaces some of them:
        embed: Features of a token: a number, or those to choose from.
        depth: Numbers of layers, likewise.
        heads: Numbers of heads, likewise, the same for all layers.
        mlp_ratio: MLP ratios, likewise, the same for all layers.
        bias: 1, 0, or both.
        head_dim: Size of a head.
        positions: `"rotary"`: the first half of every query and key is turned by the position; `"learned"`: vectors are
            added to the tokens.
        context: Longest sequence, for learned positions.
        parallel: Whether attention and linear layers of a layer read the same, as the benchmark's do.
        tied: Whether the last layer has the weights of the embedding.
        dropout: Share of features and attention weights that is dropped in training.
        task: What it is for.
        vocabulary: Number of tokens.
        mix: How sizes are mixed, `"weights"` or `"outputs"` (docs/elastic.md).

    Raises:
        ConfigError: If there is no head for the task, no such preset, or sizes do not go together.
    """

    OPTIMIZER_SCOPE = ["makrograph"]
    QUERYABLE = True
    TASKS = ("language_modelling",)
    INPUTS = ("tokens",)

    def __init__(
        self,
        n_classes: int = 1000,
        in_channels: int = 1,
        preset: str = "mini",
        embed: Given | None = None,
        depth: Given | None = None,
        heads: Given | None = None,
        mlp_ratio: Given | None = None,
        bias: Given | None = None,
        head_dim: int | None = None,
        positions: str = "rotary",
        context: int = 256,
        parallel: bool = True,
        tied: bool = True,
        dropout: float = 0.0,
        task: str = "language_modelling",
        vocabulary: int = 0,
        mix: str = "weights",
    ) -> None:
        super().__init__("makrograph")
        _check(task, positions, context, dropout)
        self.n_classes, self.in_channels, self.vocabulary = n_classes, in_channels, vocabulary or n_classes
        self.preset, self.embed, self.depth, self.heads, self.mlp_ratio = preset, embed, depth, heads, mlp_ratio
        self.bias, self.head_dim, self.positions, self.context = bias, head_dim, positions, context
        self.parallel, self.tied, self.dropout, self.task, self.mix = parallel, tied, dropout, task, mix
        given: dict[str, Any] = {
            name: None if values is None else listed(values, name)
            for name, values in (
                *(("embed", embed), ("depth", depth), ("heads", heads), ("mlp_ratio", mlp_ratio), ("bias", bias)),
            )
        }
        found = preset_named(PRESETS, preset, "gpt")
        given["head_dim"] = head_dim
        self.choices = found._replace(**{name: value for name, value in given.items() if value is not None})
        if not {*self.choices.bias} <= {0, 1}:
            raise ConfigError(f"bias is 1, 0 or both, not {list(self.choices.bias)}")
        self._build()

    def _build(self) -> None:
        found = self.choices
        embed, depth = choice(found.embed, "embed"), choice(found.depth, "depth")
        bias = choice(found.bias, "bias") if len(found.bias) > 1 else bool(found.bias[0])
        rotary = _rotary(found) if self.positions == "rotary" else 0
        kind = BlockKind(causal=True, rotary=rotary, parallel=self.parallel, dropout=self.dropout, mix=self.mix)
        blocks = []
        for number in range(1, int(max(found.depth)) + 1):
            heads = choice(found.heads, f"block_{number}/heads")
            ratio = choice(found.mlp_ratio, f"block_{number}/mlp_ratio")
            sizes = BlockSizes(embed, heads, found.head_dim, embed * ratio, bias)
            blocks.append(TransformerBlock(sizes, kind))
        self.add_nodes_from(range(1, 5))
        context = 0 if rotary else self.context
        stem = WordStem(self.vocabulary, embed, context, self.dropout, self.mix)
        self.add_edge(1, 2, op=stem)
        self.add_edge(2, 3, op=ElasticSequential(blocks, depth))
        head = WordHead(embed, self.vocabulary, stem.embedding if self.tied else None, self.mix)
        self.add_edge(3, 4, op=head)

    def get_type(self) -> str:
        """Return the name of the space: with the preset's where its networks are those of the benchmark."""
        as_there = self.positions == "rotary" and self.parallel and self.tied
        named = (name for name in ("s", "m", "l") if as_there and PRESETS[name] == self.choices)
        return next((f"gpt_{name}" for name in named), "gpt")

    def set_spec(self, spec: Any, dataset_api: Any = None) -> None:
        """Make this graph the architecture `spec`: a code, choices by decision, or as `spellings.read_spec` takes it.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().set_spec(read_spec(spec), dataset_api)

    def check_spec(self, spec: Any, dataset_api: Any = None) -> Any:
        """Return the identity of the architecture that `set_spec` would make of `spec`; the graph is not changed.

        Raises:
            ArchitectureError: If `spec` is not of this space.
        """
        return super().check_spec(read_spec(spec), dataset_api)


def _rotary(found: GPTChoices) -> int:
    """Return how many entries of a head are turned: half of them, an even number."""
    turned = found.head_dim // 4 * 2
    if not turned:
        raise ConfigError(
            f"head_dim = {found.head_dim}: rotary positions turn half of a head, which has from 4 entries"
        )
    return turned


def _check(task: str, positions: str, context: int, dropout: float) -> None:
    problems = []
    if task not in GPTSearchSpace.TASKS:
        problems.append(f"gpt has no head for {task}, only for {', '.join(GPTSearchSpace.TASKS)}")
    if positions not in _POSITIONS:
        hint = did_you_mean(str(positions), _POSITIONS)
        problems.append(f"positions are {' or '.join(_POSITIONS)}, not {positions!r}{hint}")
    if context < 1:
        problems.append(f"context is a number of positions from 1, not {context}")
    if problems:
        raise ConfigError(problems)
    checked_dropout(dropout)
