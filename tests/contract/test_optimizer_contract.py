"""What every optimizer promises, held over the registry, and what the weight-sharing ones promise besides."""

from __future__ import annotations

import inspect
import io

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError, GraphError, OptimizerStateError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, GDASOptimizer, MetaOptimizer, OneShotOptimizer
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.search_spaces.core.graph import EdgeView, Graph
from naslib.search_spaces.core.primitives import DropPath, MixedOp
from naslib.utils.attrdict import AttrDict

ALL = sorted(OPTIMIZERS.names())
ONE_SHOT = [name for name in ALL if issubclass(OPTIMIZERS.get(name), OneShotOptimizer)]
ONE_SHOT = [name for name in ONE_SHOT if not OPTIMIZERS.get(name).OWN_SPACE]  # these have tests of their own
METHODS = (
    *("adapt_search_space", "before_training", "new_epoch", "step", "after_training", "get_final_architecture"),
    *("get_op_optimizer", "get_model_size", "train_statistics", "test_statistics", "get_checkpointables"),
)
VARIANTS = {
    "darts": (DARTSOptimizer, {}),
    "darts second order": (DARTSOptimizer, {"unrolled": True}),
    "darts exact": (DARTSOptimizer, {"unrolled": True, "hessian": "exact"}),
    "darts adam": (DARTSOptimizer, {"op_optimizer": "Adam"}),
    "gdas": (GDASOptimizer, {"epochs": 4}),
    "gdas recompute": (GDASOptimizer, {"epochs": 4, "unselected": "recompute"}),
}


def test_the_registry_holds_what_this_file_is_about():
    assert len(ALL) >= 4 and {"darts", "gdas"} <= set(ALL)
    assert len(ONE_SHOT) >= 2


# construction and signatures


@pytest.mark.parametrize("name", ALL)
def test_both_construction_forms(name: str):
    cls = OPTIMIZERS.get(name)
    config = AttrDict({"search": {"learning_rate": 0.125, "epochs": 7, "tau_max": 5.0, "population_size": 20}})
    for optimizer in (cls(config), cls(**config.search)):
        assert isinstance(optimizer, MetaOptimizer)
        for key in ("learning_rate", "epochs", "tau_max", "population_size"):
            if hasattr(optimizer, key):
                assert getattr(optimizer, key) == config.search[key]
    assert config == {"search": {"learning_rate": 0.125, "epochs": 7, "tau_max": 5.0, "population_size": 20}}


@pytest.mark.parametrize("name", ONE_SHOT)
def test_the_data_set_of_a_whole_config_is_kept_until_another_is_named(name: str):
    optimizer = OPTIMIZERS.get(name)(AttrDict({"dataset": "cifar100", "search": {"epochs": 2}}))
    assert optimizer.dataset == "cifar100"
    optimizer.adapt_search_space(SimpleCellSearchSpace(channels=4))
    assert optimizer.dataset == "cifar100"
    optimizer.adapt_search_space(SimpleCellSearchSpace(channels=4), "cifar10")
    assert optimizer.dataset == "cifar10"
    assert OPTIMIZERS.get(name)(epochs=2).dataset is None


@pytest.mark.parametrize("name", ALL)
def test_keys_of_the_shared_schema_are_ignored_and_others_raise(name: str):
    from naslib.config.schema import defaults

    cls = OPTIMIZERS.get(name)
    cls(**defaults()["search"])
    with pytest.raises(ConfigError, match=r"'learning_rat'.*did you mean 'learning_rate'"):
        cls(learning_rat=0.1)
    with pytest.raises(ConfigError) as caught:
        cls({"search": {"nonsense_a": 1, "nonsense_b": 2}})
    assert "nonsense_a" in str(caught.value) and "nonsense_b" in str(caught.value)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("method", METHODS)
def test_one_signature_for_all_optimizers(name: str, method: str):
    cls = OPTIMIZERS.get(name)
    assert inspect.signature(getattr(cls, method)) == inspect.signature(getattr(MetaOptimizer, method))


def test_the_bases_signature_is_the_contracts():
    def names(method):
        return [str(p).split(":")[0] for p in inspect.signature(getattr(MetaOptimizer, method)).parameters.values()]

    assert names("adapt_search_space") == ["self", "search_space", "dataset", "scope", "dataset_api", "**kwargs"]
    assert names("step") == ["self", "data_train", "data_val"] and names("new_epoch") == ["self", "epoch"]
    assert names("train_statistics") == ["self", "report_incumbent"]
    assert MetaOptimizer.using_step_function is True
    assert inspect.signature(MetaOptimizer.train_statistics).parameters["report_incumbent"].default is True


def test_the_signature_of_darts():
    expected = {
        "learning_rate": 0.025,
        "momentum": 0.9,
        "weight_decay": 0.0003,
        "grad_clip": 5,
        "unrolled": False,
        "arch_learning_rate": 0.0003,
        "arch_weight_decay": 0.001,
        "op_optimizer": "SGD",
        "arch_optimizer": "Adam",
        "loss_criteria": "CrossEntropyLoss",
    }
    for signature in (inspect.signature(DARTSOptimizer), inspect.signature(DARTSOptimizer.__init__)):
        parameters = [p for p in signature.parameters.values() if p.name != "self"]
        assert {p.name: p.default for p in parameters[:10]} == expected
        assert [p.name for p in parameters[:10]] == list(expected)
        assert parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
    optimizer = DARTSOptimizer(0.5, 0.25)
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.nesterov) == (0.5, 0.25, False)


@pytest.mark.parametrize(("key", "value"), [("op_optimizer", "sdg"), ("loss_criteria", "CrossEntropy2Loss")])
def test_unknown_names_are_config_errors(key: str, value: str):
    with pytest.raises(ConfigError, match="did you mean"):
        DARTSOptimizer(**{key: value}).adapt_search_space(mlp_space())


# adapting and discretizing


def _made(variant: str = "darts", seed: int = 0, **kwargs) -> OneShotOptimizer:
    cls, own = VARIANTS[variant]
    torch.manual_seed(seed)
    optimizer = cls(**{"learning_rate": 0.1, "arch_learning_rate": 0.1, **own, **kwargs})
    optimizer.adapt_search_space(mlp_space(batch_norm=True), "digits")
    optimizer.before_training()
    optimizer.new_epoch(0)
    return optimizer


def _fingerprint(graph: Graph) -> list:
    """Return everything a graph consists of, tensors by value, objects by identity."""
    found: list = []
    for g in graph.nested_graphs():
        found.append((g.name, g.scope, g.is_parsed, g.training, g.input_node_idxs, dict(g.graph)))
        found += [(n, sorted((k, id(v)) for k, v in g.nodes[n].items())) for n in sorted(g.nodes)]
        for u, v in sorted(g.edges):
            data = g.edges[u, v]
            ops = data.op if isinstance(data.op, list) else [data.op]
            entries = sorted((k, id(x)) for k, x in data.to_dict().items())
            found.append((u, v, entries, data.is_final(), data.is_deleted()))
            found += [{k: t.clone() for k, t in op.state_dict().items()} for op in ops if not isinstance(op, Graph)]
            found += [{k: x.detach().clone() for k, x in data.to_dict().items() if isinstance(x, torch.Tensor)}]
    return found


def _same(first: list, second: list) -> bool:
    def equal(a, b):
        if isinstance(a, dict) and isinstance(b, dict):
            return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        return a == b

    return len(first) == len(second) and all(equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_adapting_changes_nothing_of_the_given_space(variant: str):
    space = mlp_space(batch_norm=True)
    before = _fingerprint(space)
    cls, own = VARIANTS[variant]
    optimizer = cls(**own)
    optimizer.adapt_search_space(space, "digits")
    for index in range(2):
        optimizer.step(batch(seed=index, dtype=torch.float32), batch(seed=9, dtype=torch.float32))
    assert optimizer.graph is not space
    assert _same(_fingerprint(space), before)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("training", [True, False])
def test_discretizing_changes_nothing_of_the_supernet(variant: str, training: bool):
    optimizer = _made(variant)
    optimizer.step(batch(seed=1, dtype=torch.float32), batch(seed=2, dtype=torch.float32))
    optimizer.graph.train(training)
    before, rng = _fingerprint(optimizer.graph), torch.get_rng_state()
    first = optimizer.get_final_architecture()
    second = optimizer.get_final_architecture()
    assert _same(_fingerprint(optimizer.graph), before) and torch.equal(torch.get_rng_state(), rng)
    assert not {id(p) for p in first.parameters()} & {id(p) for p in optimizer.graph.parameters()}
    assert first.is_parsed and not any(isinstance(m, MixedOp) for m in first.modules())
    torch.testing.assert_close(first.state_dict(), second.state_dict())
    x = batch(dtype=torch.float32)[0]
    torch.testing.assert_close(first.eval()(x), second.eval()(x), rtol=0, atol=0)


def test_the_final_architecture_inherits_the_weights_of_the_strongest_ops():
    optimizer = _made()
    with torch.no_grad():
        for index, alpha in enumerate(optimizer.architectural_weights):
            alpha.zero_()
            alpha[index % 3] = 1.0
    graph = optimizer.get_final_architecture()
    chosen = {0: nn.Sequential, 1: nn.Sequential, 2: nn.Identity}
    for node in (2, 3):
        net, cell = optimizer.graph.edges[node, node + 1].op, graph.edges[node, node + 1].op
        for u, v in cell.edges:
            index = int(net.edges[u, v].alpha.argmax())
            assert type(cell.edges[u, v].op) is chosen[index]
            origin = net.edges[u, v].op.primitives[index]
            torch.testing.assert_close(cell.edges[u, v].op.state_dict(), origin.state_dict())


def test_one_parameter_per_decision_shared_by_identity():
    optimizer = _made()
    first, second = optimizer.graph.edges[2, 3].op, optimizer.graph.edges[3, 4].op
    assert isinstance(optimizer.architectural_weights, nn.ParameterList) and len(optimizer.architectural_weights) == 3
    for edge, alpha in zip(first.edges, optimizer.architectural_weights, strict=True):
        assert first.edges[edge].alpha is second.edges[edge].alpha is alpha
        assert first.edges[edge].op is not second.edges[edge].op


def test_darts_add_alphas_and_update_ops():
    space = mlp_space()
    data = space.edges[2, 3].op.edges[1, 2]
    torch.manual_seed(3)
    DARTSOptimizer.add_alphas(EdgeView(1, 2, data))
    torch.manual_seed(3)
    assert isinstance(data.alpha, nn.Parameter) and "alpha" in data.to_dict("shared")
    torch.testing.assert_close(data.alpha.detach(), 1e-3 * torch.randn(3), rtol=0, atol=0)
    candidates = data.op
    DARTSOptimizer.update_ops(edge=EdgeView(1, 2, data))
    assert isinstance(data.op, MixedOp) and data.op.primitives == candidates


@pytest.mark.parametrize("variant", VARIANTS)
def test_attributes_after_adapting(variant: str):
    optimizer = _made(variant)
    assert isinstance(optimizer.graph, Graph) and optimizer.graph.is_parsed
    assert isinstance(optimizer.arch_optimizer, torch.optim.Adam)
    assert isinstance(optimizer.op_optimizer, optimizer.get_op_optimizer())
    assert optimizer.scope == "cell" and optimizer.dataset == "digits" and isinstance(optimizer.device, torch.device)
    assert callable(optimizer.loss)
    optimizer.adapt_search_space(mlp_space(), scope=["cell"])  # again, on another space
    assert optimizer.scope == ["cell"] and isinstance(optimizer.op_optimizer, torch.optim.Optimizer)


class _Sigmoid(MixedOp):
    def get_weights(self, edge_data):
        return edge_data.alpha

    def process_weights(self, weights):
        return weights.sigmoid()

    def apply_weights(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self.primitives, strict=True))


class _SigmoidOfOurs(RelaxedMixedOp):
    def process_weights(self, weights):
        return weights.sigmoid()


@pytest.mark.parametrize("mixed", [_Sigmoid, _SigmoidOfOurs])
def test_a_mixed_op_of_ones_own_relaxes_by_itself(mixed: type[MixedOp]):
    class Own(OneShotOptimizer):
        @staticmethod
        def update_ops(edge):
            edge.data.set("op", mixed(edge.data.op))

    optimizer = Own()
    optimizer.adapt_search_space(mlp_space(shared_cells=False))
    data = optimizer.decisions[0]
    x = batch(dtype=torch.float32)[0]
    expected = sum(w * op(x) for w, op in zip(data.alpha.sigmoid(), data.op.primitives, strict=True))
    torch.testing.assert_close(data.op(x, edge_data=data), expected)
    graph = optimizer.graph
    assert torch.equal(graph(x), graph.clone().set_passes(share=False)(x))
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.fill_(-50.0)  # sigmoids of zero: nothing reaches the classifier but its bias
    torch.testing.assert_close(graph(x), graph.edges[4, 5].op.bias.expand(8, 3))


def test_nothing_to_search_and_use_before_adapting_are_clear_errors():
    with pytest.raises(GraphError, match=r"nowhere.*nothing to search"):
        DARTSOptimizer().adapt_search_space(mlp_space(), scope="nowhere")
    for method in ("before_training", "get_final_architecture", "get_checkpointables"):
        with pytest.raises(OptimizerStateError, match="adapt_search_space"):
            getattr(DARTSOptimizer(), method)()
    assert DARTSOptimizer().get_model_size() == 0.0


# sizes, steps, checkpoints


@pytest.mark.parametrize("variant", VARIANTS)
def test_architecture_parameters_are_not_of_the_model(variant: str):
    optimizer = _made(variant)
    alphas = {id(a) for a in optimizer.architectural_weights}
    parameters = list(optimizer.graph.parameters())
    assert not alphas & {id(p) for p in parameters}
    assert "alpha" not in " ".join(optimizer.graph.state_dict())
    width, classes, candidates, edges = 6, 3, 2, 6
    expected = (width * width + width) * (1 + candidates * edges) + width * classes + classes
    assert optimizer.get_model_size() * 1e6 == pytest.approx(expected) == sum(p.numel() for p in parameters)


@pytest.mark.parametrize("variant", VARIANTS)
def test_step_returns_detached_values_and_moves_both_groups(variant: str):
    optimizer = _made(variant)
    before = [p.detach().clone() for p in (*optimizer.graph.parameters(), *optimizer.architectural_weights)]
    train, val = batch(8, seed=1, dtype=torch.float32), batch(5, seed=2, dtype=torch.float32)
    results = [optimizer.step(train, val) for _ in range(3)]
    for logits_train, logits_val, train_loss, val_loss in results:
        assert logits_train.shape == (8, 3) and logits_val.shape == (5, 3)
        assert train_loss.shape == val_loss.shape == ()
        assert not any(t.requires_grad for t in (logits_train, logits_val, train_loss, val_loss))
    torch.testing.assert_close(results[0][2], nn.functional.cross_entropy(results[0][0], train[1]))
    torch.testing.assert_close(results[0][3], nn.functional.cross_entropy(results[0][1], val[1]))
    after = [*optimizer.graph.parameters(), *optimizer.architectural_weights]
    assert all(not torch.equal(a, b) for a, b in zip(after[-3:], before[-3:], strict=True))
    assert sum(not torch.equal(a, b) for a, b in zip(after[:-3], before[:-3], strict=True)) >= 4


def _train(optimizer: OneShotOptimizer, steps: range) -> list[torch.Tensor]:
    losses: list[torch.Tensor] = []
    for index in steps:
        if index % 2 == 0:
            optimizer.new_epoch(index // 2)
        torch.manual_seed(1000 + index)  # the checkpoint of a run also holds the RNG
        data = batch(seed=index, dtype=torch.float32), batch(seed=50 + index, dtype=torch.float32)
        losses += optimizer.step(*data)
    return losses


@pytest.mark.parametrize("variant", VARIANTS)
def test_checkpointables_give_a_bit_identical_continuation(variant: str):
    straight = _made(variant)
    assert "model" in straight.get_checkpointables()
    _train(straight, range(3))
    buffer = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in straight.get_checkpointables().items()}, buffer)
    expected = _train(straight, range(3, 7))

    resumed = _made(variant, seed=77)  # another initialisation, to be replaced
    edge_alpha = resumed.graph.edges[2, 3].op.edges[1, 2].alpha
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    parts = resumed.get_checkpointables()
    assert set(parts) == set(state)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    assert resumed.architectural_weights[0] is edge_alpha
    found = _train(resumed, range(3, 7))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    for name, part in straight.get_checkpointables().items():
        torch.testing.assert_close(parts[name].state_dict(), part.state_dict(), rtol=0, atol=0)
    first, second = straight.get_final_architecture(), resumed.get_final_architecture()
    assert first.genotype() == second.genotype() and len(first.genotype()) >= 3


def test_what_is_retrained_has_drop_path_affine_norms_and_fresh_weights():
    architecture = _made().get_final_architecture()
    decided = [edge.op for node in (2, 3) for _, _, edge in architecture.edges[node, node + 1].op.edges(data=True)]
    assert len(decided) == 6
    network = architecture.evaluation_network()
    dropped = [m for m in network.modules() if isinstance(m, DropPath)]
    assert len(dropped) == sum(not isinstance(op, nn.Identity) for op in decided) > 0
    assert all(m.affine for m in network.modules() if isinstance(m, nn.BatchNorm1d))
    assert not torch.equal(network.edges[1, 2].op.weight, architecture.edges[1, 2].op.weight)
    assert len(architecture.genotype()) == len({str(entry) for entry in architecture.genotype()}) >= 3


def test_statistics_without_a_benchmark_are_none():
    optimizer = _made()
    assert optimizer.test_statistics() is None
    assert optimizer.train_statistics() == optimizer.train_statistics(report_incumbent=False) == (None,) * 4
    optimizer.dataset_api = object()  # an api, but the space is not queryable
    assert optimizer.test_statistics() is None
