"""What is known of transformers: HW-GPT-Bench, Auto-Prox, HAT."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from data_files import data_file
from torch import nn

from naslib.benchmarks import AutoProxTable, HatTransformer, HWGPTBenchL, HWGPTBenchM, HWGPTBenchS, get_dataset_api
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.optimizers import RegularizedEvolution
from naslib.search_spaces import AutoFormerSearchSpace, GPTSearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric

GPT_FILE, VIT_FILE, HAT_FILE = (
    data_file(n) for n in ("hwgpt_surrogates.npz", "vit_autoprox.json.gz", "hat_latency.npz")
)
needs_gpt = pytest.mark.skipif(not GPT_FILE.is_file(), reason=f"no {GPT_FILE.name} in the shared data directory")
needs_vit = pytest.mark.skipif(not VIT_FILE.is_file(), reason=f"no {VIT_FILE.name} in the shared data directory")
needs_hat = pytest.mark.skipif(not HAT_FILE.is_file(), reason=f"no {HAT_FILE.name} in the shared data directory")
BENCHES = {"s": HWGPTBenchS, "m": HWGPTBenchM, "l": HWGPTBenchL}
# What the authors measured, as the table of data says it
MEASURED = {"s": (21.41, 42.88), "m": (20.92, 35.98), "l": (18.30, 30.18)}


def _gpt(preset: str) -> GPTSearchSpace:
    with torch.device("meta"):
        return GPTSearchSpace(10, preset=preset)


@pytest.fixture(scope="module")
def small() -> Any:
    return get_dataset_api("gpt_s", "openwebtext", GPT_FILE)


@needs_gpt
@pytest.mark.parametrize("scale", BENCHES)
def test_two_thousand_architectures_are_where_the_authors_measured(scale: str) -> None:
    bench = BENCHES[scale](GPT_FILE)
    assert tuple(round(limit, 2) for limit in bench.limits) == MEASURED[scale]
    space, random = _gpt(scale).decision_space, Random(0)
    codes = np.array([space.random(random) for _ in range(2000)])
    found = bench.query_batch(codes, Metric.PERPLEXITY, "openwebtext")
    assert MEASURED[scale][0] < found.min() and found.max() < MEASURED[scale][1]
    assert found.std() > 3.0
    half, other = bench.memory(codes), bench.memory(codes, "bfloat16")
    assert half.min() > 0 and np.abs(half / other - 1).max() < 0.1
    width = codes[:, 0]
    for values in (half, -found):  # wider is larger, and better
        assert values[width == 0].mean() < values[width == 1].mean() < values[width == 2].mean()


@needs_gpt
@pytest.mark.parametrize("scale", BENCHES)
def test_a_prediction_is_that_of_the_authors_network(scale: str) -> None:
    """Their one-hot code, written out from the names of the choices, and their network, of torch's layers."""
    bench, space, file = BENCHES[scale](GPT_FILE), _gpt(scale).decision_space, np.load(GPT_FILE)
    network = nn.Sequential()
    for i in range(1, 6):
        weight, bias = (torch.from_numpy(file[f"ppl_{scale}.fc{i}.{name}"]).double() for name in ("weight", "bias"))
        layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
        layer.weight.data, layer.bias.data = weight, bias
        network.extend([layer] if i == 5 else [layer, nn.ReLU()])
    sizes = bench.scale
    for seed in range(3):
        code = space.random(Random(seed))
        choices = space.choices(code)
        row = [float(choices["embed"] == value) for value in sizes.embed]
        row += [float(choices["depth"] == value) for value in sizes.depth]
        for name, values in (("mlp_ratio", sizes.mlp_ratio), ("heads", sizes.heads)):
            for number in range(1, max(sizes.depth) + 1):
                row += [float(choices.get(f"block_{number}/{name}") == value) for value in values]
        row += [float(choices["bias"] == 1), float(choices["bias"] == 0)]
        expected = float(network(torch.tensor(row, dtype=torch.float64)).detach())
        assert bench.query(code, Metric.PERPLEXITY) == pytest.approx(expected, rel=1e-12)
        assert bench.query(code, Metric.VAL_LOSS) == pytest.approx(np.log(expected), rel=1e-12)


@needs_gpt
def test_a_graph_is_asked(small: Any) -> None:
    space = _gpt("s")
    space.set_spec("gpt-s-10-768-" + "4-" * 10 + "12-" * 10 + "True")
    assert space.query(Metric.PERPLEXITY, "openwebtext", dataset_api=small) == pytest.approx(22.77, abs=1.5)
    everything = space.query(Metric.ALL, dataset_api=small)
    assert set(everything) == {"PERPLEXITY", "VAL_LOSS", "MEMORY"}
    assert everything["MEMORY"] == small.memory(np.array([space.get_code()]))[0] > 500
    assert small.has(Metric.MEMORY) and not small.has(Metric.LATENCY) and not small.has(Metric.PERPLEXITY, "wikitext2")


@needs_gpt
def test_a_search_asks_the_surrogate(small: Any) -> None:
    np.random.seed(0)
    optimizer = RegularizedEvolution(
        epochs=120, population_size=20, sample_size=5, objectives=["perplexity"], fidelity=-1
    )
    space = _gpt("s")
    space.instantiate_model = False
    optimizer.adapt_search_space(space, "openwebtext", dataset_api=small)
    for epoch in range(120):
        optimizer.new_epoch(epoch)
    best = optimizer.get_final_architecture()
    found = best.query(Metric.PERPLEXITY, dataset_api=small)
    assert found < 22.3 and best.genotype()["embed"] == 768


@needs_gpt
def test_what_the_surrogates_do_not_know_is_said(small: Any) -> None:
    code = _gpt("s").decision_space.random(Random(0))
    for metric, arguments, message in (
        (Metric.TEST_ACCURACY, {}, r"no TEST_ACCURACY, only PERPLEXITY, VAL_LOSS, MEMORY"),
        (Metric.PERPLEXITY, {"epoch": 200}, r"nothing of epoch 200: ask for -1"),
        (Metric.PERPLEXITY, {"dataset": "wikitext2"}, r"no data set 'wikitext2'"),
        (Metric.PERPLEXITY, {"full_lc": True}, r"no learning curves"),
    ):
        with pytest.raises(BenchmarkError, match=message):
            small.query(code, metric, **arguments)
    with pytest.raises(BenchmarkError, match=r"float16 or bfloat16, not 'float32'"):
        small.memory(np.array([code]), "float32")
    with pytest.raises(ArchitectureError, match=r"codes of gpt_s are \(n, 27\) integers"):
        small.query(_gpt("m").decision_space.random(Random(0)), Metric.PERPLEXITY)
    deepest = (0, 2, 0, 0, 0, *[0] * 22)
    assert small.query(deepest, Metric.PERPLEXITY) > 30
    for wrong in ((3, *deepest[1:]), (0, 1, *deepest[2:]), (*deepest[:-1], 3), (*deepest[:-1], -1)):
        with pytest.raises(ArchitectureError, match=r"a code of gpt_s has"):
            small.query(wrong, Metric.PERPLEXITY)


def test_choices_of_ones_own_have_no_benchmark(tmp_path: Path) -> None:
    with torch.device("meta"):
        others = [GPTSearchSpace(10, preset="s", **{name: value}) for name, value in (
            ("head_dim", 32), ("positions", "learned"), ("parallel", False), ("tied", False), ("bias", 1)
        )]  # fmt: skip
    for space in (GPTSearchSpace(10), AutoFormerSearchSpace(), *others):
        assert space.get_type() in ("gpt", "autoformer")
        with pytest.raises(BenchmarkError, match=r"no benchmark of the search space"):
            get_dataset_api(space.get_type(), data_dir=tmp_path)
    for bench in (HWGPTBenchS, AutoProxTable):
        with pytest.raises(BenchmarkDataMissing):
            bench(tmp_path / "nothing")
        (tmp_path / "broken").write_bytes(b"nothing")
        with pytest.raises(BenchmarkError, match=r"broken"):
            bench(tmp_path / "broken")


@needs_vit
def test_the_table_of_vision_transformers() -> None:
    table = get_dataset_api("autoformer_tiny", "cifar100", VIT_FILE)
    assert len(table.codes) == len(set(table.codes)) == 200
    with torch.device("meta"):
        space: Graph = AutoFormerSearchSpace(100, preset="tiny", image_size=224)
    assert all(space.decision_space.is_valid(code) for code in table.codes)
    space.set_spec(0, table)
    row = table.query(space.get_code(), Metric.RAW)
    assert (row["hidden_dim"], row["depth"], row["num_heads"][:3]) == (192, 12, [4, 4, 3])
    assert space.genotype()["block_1/mlp_ratio"] == row["mlp_ratio"][0] == 3.5
    for dataset, accuracy in (
        *(("cifar100", 68.66), ("cifar100_kd", 76.06), ("flowers", 53.6835), ("flowers_kd", 66.5962)),
        *(("chaoyang", 81.9542), ("chaoyang_kd", 84.8527), ("imagenet_supernet", 74.644), ("CIFAR-100", 68.66)),
    ):
        assert space.query(Metric.TEST_ACCURACY, dataset, dataset_api=table) == accuracy
    everyone = table.query_batch(np.array(table.codes), Metric.TEST_ACCURACY, "cifar100_kd")
    assert everyone.shape == (200,) and 70 < everyone.min() < everyone.max() < 85
    with torch.device("meta"):
        other = AutoFormerSearchSpace(100, preset="tiny", image_size=224)
    other.sample_random_architecture(table, load_labeled=True, rng=1)
    assert other.get_code() in table.codes


@needs_vit
def test_what_the_table_of_vision_transformers_lacks_is_said() -> None:
    table = AutoProxTable(VIT_FILE)
    missing = next(code for code in table.codes if table.query(code, Metric.RAW)["c100_base_acc"] is None)
    with pytest.raises(BenchmarkError, match=r"was not trained on cifar100; 1\d\d of 200 were"):
        table.query(missing, Metric.TEST_ACCURACY, "cifar100")
    unknown = (0, 0, *[0] * 24, *[-1] * 4)
    with pytest.raises(BenchmarkError, match=r"none of the 200 architectures of Auto-Prox"):
        table.query(unknown, Metric.TEST_ACCURACY, "cifar100")
    with pytest.raises(BenchmarkError, match=r"has TEST_ACCURACY, and no VAL_ACCURACY"):
        table.query(missing, Metric.VAL_ACCURACY, "cifar100")
    with pytest.raises(BenchmarkError, match=r"no data set 'imagenet'"):
        table.query(missing, Metric.TEST_ACCURACY, "imagenet")
    with pytest.raises(ArchitectureError, match=r"numbers 0..199, not 200"):
        table.code_of(200)


@pytest.fixture(scope="module")
def hat() -> Any:
    return get_dataset_api("hat", data_dir=HAT_FILE)


@needs_hat
def test_what_was_measured_of_translation_transformers(hat: Any) -> None:
    assert len(hat.datasets) == 8
    dataset = "wmt14ende_cpu_xeon"
    features = hat.features(dataset)
    assert features.shape == (2000, 10)
    row = hat.query(features[0], Metric.RAW, dataset)
    assert (row["encoder_embed_dim"], row["decoder_layer_num"]) == (640, 3)
    assert hat.query(features[0], Metric.LATENCY, dataset) == pytest.approx(9.92251968 + 236.76892090, abs=1e-6)
    assert hat.interpolate(features[0], dataset) == pytest.approx(hat.query(features[0], Metric.LATENCY, dataset))
    latencies = hat.query_batch(features[:50], Metric.LATENCY, dataset)
    assert latencies.shape == (50,) and 100 < latencies.min() < latencies.max() < 490


def test_a_translation_transformer_is_known_by_averages() -> None:
    transformer = HatTransformer(
        *(640, [1024, 2048, 1024, 2048, 1024, 512], [4, 8, 4, 4, 4, 8]),
        *(512, [1024, 3072], [4, 8], [8, 2], [-1, 2]),
    )
    assert transformer.features() == (640, 6, 1280, 32 / 6, 512, 2, 2048, 6, 5, 2)
    with pytest.raises(ArchitectureError, match=r"one entry per layer"):
        transformer._replace(cross_heads=[8]).features()
    with pytest.raises(ArchitectureError, match=r"reach is -1, 1 or 2"):
        transformer._replace(reach=[0, 1]).features()


@needs_hat
def test_what_was_not_measured_is_an_error_or_called_a_guess(hat: Any) -> None:
    dataset = "wmt14enfr_gpu_titanxp"
    transformer = HatTransformer(*(640, [1024] * 6, [4] * 6), *(512, [1024] * 3, [4] * 3, [4] * 3, [1] * 3))
    with pytest.raises(
        BenchmarkError, match=r"no transformer .* was measured for wmt14enfr_gpu_titanxp; the nearest is"
    ):
        hat.query(transformer, Metric.LATENCY, dataset)
    guess = hat.interpolate(transformer, dataset)
    shallow = hat.interpolate(
        transformer._replace(**{k: getattr(transformer, k)[:1] for k in transformer._fields[4:]}), dataset
    )
    assert 52.0 < shallow < guess < 308.0
    with pytest.raises(BenchmarkError, match=r"has LATENCY and RAW, and no PERPLEXITY"):
        hat.query(transformer, Metric.PERPLEXITY, dataset)
    with pytest.raises(BenchmarkError, match=r"no data set 'wmt14enfr_gpu'"):
        hat.interpolate(transformer, "wmt14enfr_gpu")
    with pytest.raises(ArchitectureError, match=r"10 numbers"):
        hat.query((640, 6), Metric.LATENCY, dataset)


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values)).astype(float)


@needs_hat
@pytest.mark.slow
def test_guesses_rank_transformers_as_measurements_do(hat: Any) -> None:
    """Every tenth row is guessed from all others."""
    for dataset in hat.datasets:
        table, guesses = hat._tables[dataset], []
        latencies = table[::10, 10:12].sum(1)
        for row in range(0, len(table), 10):
            hat._tables[dataset] = np.delete(table, row, 0)
            guesses.append(hat.interpolate(tuple(table[row, :10]), dataset))
        hat._tables[dataset] = table
        off = np.median(np.abs(np.array(guesses) / latencies - 1))
        assert np.corrcoef(_ranks(np.array(guesses)), _ranks(latencies))[0, 1] > 0.91 and off < 0.11
