"""SMASH: train a hypernetwork on random networks of memory banks, then rank networks by the weights that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.optimizers.core.metaclasses import Batch, Stateful, StepResult
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.selection import check_counts
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.optimizers.oneshot.supernet.schedulable import AT_THE_END
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.elastic import ElasticSequential
from naslib.search_spaces.core.elastic.network import elastic_layers
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.memory_bank.graph import MemoryBankSearchSpace
from naslib.search_spaces.memory_bank.primitives import MemoryOp
from naslib.utils.pytorch_helper import create_optimizer

from .hypernetwork import GeneratedWeights
from .ranking import Ranking
from .sampling import BankSampler

# The authors' Adam: the betas of DCGAN, and denominators that suit half precision
BETAS, EPS = (0.5, 0.999), 1e-4


@OPTIMIZERS.register("smash")
class SMASHOptimizer(WeightSharingOptimizer):
    """One-shot model architecture search through hypernetworks ([Brock2018smash]), on the space `memory_bank`.

    Every batch draws a network (`BankSampler`), and a hypernetwork H makes the weights of the 1x1 convolutions of its
    operations out of its encoding c: W = H(c). The loss of that network trains H, and the weights that are no function
    of c and shared by all networks: stem, transitions, classifier, and in each block one main convolution, of which an
    operation has the first channels and the centre of the kernel. The largest budgets and kernels grow during the first
    half of the search. At the end networks are ranked by the score that they have with generated weights on all
    validation batches (`Ranking`); the best is the outcome. Only a network of memory banks can be encoded so: other
    spaces are refused.

    Args:
        n_random: Random networks that are ranked.
        n_perturbed: Perturbations of the best random network.
        n_chain: Steps of the chain of perturbations.
        perturb_rate: Probability with which a perturbation draws an element anew.
        chain_temperature: Of the chain, in the unit of the score; 0 accepts only what is better, as the authors' code.
        hyper_growth: Channels that a layer of H adds.
        hyper_layers: Layers of each stage of H.
        compression: Units that are read per slice of the encoding (the authors' `depth_compression`).
        learning_rate: Of Adam, as in the authors' code.
        weight_decay: Of all weights but those of H.
        op_optimizer: See `OneShotOptimizer`.
        grad_clip: See `OneShotOptimizer`; the authors do not clip.
        **kwargs: See `WeightSharingOptimizer`.

    Attributes:
        source: The hypernetwork, and what it makes of the architecture in force (after adapting).
        growth: From 0 to 1, how far the largest budgets and kernels have come.
        ranking: The ranking, as far as it has got.

    Raises:
        ConfigError: For numbers that are impossible.
    """

    SCHEDULED: ClassVar[tuple[str, ...]] = (*WeightSharingOptimizer.SCHEDULED, "growth", "noise")
    SCHEDULABLE = dict.fromkeys(("n_random", "n_perturbed", "n_chain", "perturb_rate", "chain_temperature"), AT_THE_END)
    IN_GROUPS = {"weight_decay": slice(1)}  # H has none
    OWN_SPACE: ClassVar[str] = "memory_bank"
    NO_PARTS = "its operations are layers with generated weights, on no edge that a part could change"

    def __init__(
        self,
        n_random: int = 500,
        n_perturbed: int = 100,
        n_chain: int = 100,
        perturb_rate: float = 0.05,
        chain_temperature: float = 0.0,
        hyper_growth: int = 10,
        hyper_layers: Sequence[int] = (8, 10, 4),
        compression: int = 2,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        op_optimizer: str | type = "Adam",
        grad_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            op_optimizer=op_optimizer,
            grad_clip=grad_clip,
            **kwargs,
        )
        check_counts(n_random=n_random, hyper_growth=hyper_growth, compression=compression)
        check_counts(0, n_perturbed=n_perturbed, n_chain=n_chain)
        _check(perturb_rate, chain_temperature, hyper_layers)
        self.perturb_rate = perturb_rate
        self.hyper_growth, self.hyper_layers, self.compression = hyper_growth, tuple(hyper_layers), compression
        self.ranking = Ranking(n_random, n_perturbed, n_chain, chain_temperature)
        self.growth = 0.0
        self.source: GeneratedWeights
        self.sampler: BankSampler

    @property
    def noise(self) -> int:
        """The seed of z in the present step."""
        return self.source.noise

    @noise.setter
    def noise(self, seed: int) -> None:
        self.source.noise = seed

    # the supernet

    def build_supernet(
        self,
        graph: Graph,
        kept: Sequence[Sequence[int]] | None = None,
        alphas: Sequence[nn.Parameter] | None = None,
    ) -> None:
        """Let the operations have their weights from a hypernetwork, and build the supernet; see the parent.

        Raises:
            UnsupportedBySpaceError: If the space has no memory banks.
        """
        if not isinstance(graph, MemoryBankSearchSpace):
            raise UnsupportedBySpaceError(
                f"smash encodes networks of memory banks for its hypernetwork, and {graph.get_type()} has none: take "
                "the space memory_bank, or for this space a method that shares weights (random_nas, spos)"
            )
        chains = [layer for layer in elastic_layers(graph) if isinstance(layer, ElasticSequential)]
        blocks = [[op for op in chain.blocks if isinstance(op, MemoryOp)] for chain in chains]
        self.source = GeneratedWeights(
            [chain.sizes for chain in chains], blocks, self.compression, self.hyper_growth, self.hyper_layers
        )
        for op in (op for block in blocks for op in block):
            op.take_weights_from(self.source)
        blocks[0][0].add_module("generator", self.source)  # trained, saved and moved with the supernet
        self.sampler = BankSampler(graph)
        super().build_supernet(graph, kept, alphas)

    def _build_optimizers(self) -> None:
        super()._build_optimizers()
        made = list(self.source.parameters())
        others = [weight for weight in self.weights if not any(weight is other for other in made)]
        groups = [{"params": others}, {"params": made, "weight_decay": 0.0}]
        self.op_optimizer = create_optimizer(
            self._optimizer_kinds[0],
            groups,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
            betas=BETAS,
            eps=EPS,
        )

    def adapted(self) -> None:
        """Begin small; see the parent."""
        self.growth = 0.0
        self.ranking.clear()
        super().adapted()

    # the training

    def new_epoch(self, epoch: int) -> None:
        """Begin an epoch: the largest budgets and kernels grow linearly up to the middle of the search."""
        super().new_epoch(epoch)
        self.growth = min(1.0, 2 * epoch / max(1, self.epochs))

    def random_path(self) -> Code:
        """Draw a network for training, as the authors do."""
        return self._code(self.sampler.draw(self.rng, self.growth))

    def prepare_step(self) -> None:
        """Draw the network and the noise of the next step."""
        super().prepare_step()
        self.noise = self.rng.randrange(1, 2**31)

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Train the hypernetwork by a random network; what was ranked before is void. See the parent."""
        self.ranking.clear()
        return super().step(data_train, data_val)

    def _code(self, choices: Mapping[str, int]) -> Code:
        space = self.paths.supernet.space
        return space.code_of({name: value for name, value in choices.items() if name in space.names})

    # the ranking

    def perturbed(self, code: Code) -> Code:
        """Return a network in which each element was drawn anew with probability `perturb_rate`.

        What would read nothing but zeros by that reads something else.
        """
        space = self.paths.supernet.space

        def changed() -> Code:
            choices = space.choices(space.perturb(code, self.perturb_rate, self.rng))
            return self._code(self.sampler.mended({**self.sampler.space.fixed, **choices}, self.rng))

        return self.kept_within(changed, self.drawn)

    def drawn(self) -> Code:
        """Draw a network for the ranking."""
        return self.kept_within(lambda: self._code(self.sampler.draw(self.rng)))

    def select_path(self, scorer: PathScorer) -> Code:
        """Return the best network of the ranking, which goes on where it was interrupted."""
        return self.ranking.run(scorer.on_all, self.drawn, self.perturbed, self.rng, scorer.show)

    def provisional_codes(self, rng: Any) -> list[Code]:
        """Return the networks that `get_final_architecture` compares before the ranking; see the parent."""
        draws = super().provisional_codes(rng)
        return [self.kept_within(lambda: self._code(self.sampler.draw(rng))) for _ in draws]

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return what the parent returns and the ranking."""
        return {**super().get_checkpointables(), "ranking": self.ranking}


def _check(perturb_rate: float, temperature: float, layers: Any) -> None:
    problems = []
    if not 0 < perturb_rate <= 1:
        problems.append(f"perturb_rate is a probability above 0, not {perturb_rate!r}")
    if not temperature >= 0:
        problems.append(f"chain_temperature must not be negative, not {temperature!r}")
    if isinstance(layers, str) or not isinstance(layers, Sequence) or not layers:
        problems.append(f"hyper_layers is a list of numbers of layers, such as [8, 10, 4], not {layers!r}")
    elif any(type(depth) is not int or depth < 1 for depth in layers):
        problems.append(f"hyper_layers are integers from 1, not {list(layers)}")
    if problems:
        raise ConfigError(problems)
