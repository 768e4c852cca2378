"""NASLib's evaluators of predictors, proxies and statistics, against what a small table says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from naslib.config.experiments import experiment_config
from naslib.defaults.predictor_evaluator import PredictorEvaluator
from naslib.defaults.statistics_evaluator import StatisticsEvaluator
from naslib.errors import BenchmarkApiMissing, ConfigError, PredictorError
from naslib.evaluators.zc_evaluator import ZeroCostPredictorEvaluator
from naslib.optimizers import Bananas, RegularizedEvolution
from naslib.predictors import BayesianLinearRegression, GPPredictor, GPWLPredictor, SoLosspredictor
from naslib.search_spaces import NasBench201SearchSpace, get_search_space
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils import get_config_from_args

SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)
WEIGHTS = np.arange(30).reshape(6, 5) % 7


def value(code):
    """A sum over the edges: linear in the one-hot encoding."""
    return float(sum(WEIGHTS[edge, op] for edge, op in enumerate(code)))


class Sums:
    """A benchmark of sums, whose curves rise linearly to them."""

    def query(self, code, metric, dataset=None, epoch=-1, full_lc=False):
        scale = {Metric.TEST_ACCURACY: 2.0, Metric.TRAIN_TIME: 10.0, Metric.TRAIN_LOSS: -1.0}.get(metric, 1.0)
        end = scale * value(code)
        return [end * step / 10 for step in range(1, 11)] if full_lc else end


def _config(config_type, folder, *words):
    return experiment_config(None, [f"out_dir={folder}", *words], config_type)


def test_a_predictor_is_scored_for_each_size(tmp_path):
    words = ["experiment_type=vary_train_size", "train_size_list=[5, 60]", "test_size=40"]
    config = _config("predictor", tmp_path, *words)
    evaluator = PredictorEvaluator(BayesianLinearRegression(hpo_wrapper=False), config)
    evaluator.adapt_search_space(SPACE, dataset_api=Sums())
    _, few, many = evaluator.evaluate()
    assert (few["train_size"], many["train_size"]) == (5, 60)
    # sixty labels determine all weights of a linear function
    assert many["mae"] < 1e-6 < few["mae"] and many["spearman"] > 0.99
    written = json.loads((Path(config.save) / "errors.json").read_text())
    assert written[0]["predictor"] == "mlp" and written[2]["full_ytest"] == many["full_ytest"]


def test_curves_are_cut_at_the_fidelity(tmp_path):
    config = _config("predictor", tmp_path, "experiment_type=vary_fidelity", "fidelity_list=[1, 9, -1]", "test_size=20")
    evaluator = PredictorEvaluator(SoLosspredictor(metric=Metric.TRAIN_LOSS, sum_option="SoTL"), config)
    evaluator.adapt_search_space(SPACE, dataset_api=Sums())
    _, one, nine, whole = evaluator.evaluate()
    assert (one["fidelity"], nine["fidelity"], whole["fidelity"]) == (1, 9, -1)
    first, ninth = np.array(one["full_testpred"]), np.array(nine["full_testpred"])
    np.testing.assert_allclose(ninth, first * sum(range(1, 10)), rtol=1e-9)
    np.testing.assert_allclose(whole["full_testpred"], first * sum(range(1, 11)), rtol=1e-9)  # curves of ten epochs
    assert one["spearman"] == pytest.approx(1.0)


def test_mutated_sets_do_not_overlap(tmp_path, caplog):
    config = _config("predictor", tmp_path, "uniform_random=0", "test_size=15", "train_size_single=15")
    evaluator = PredictorEvaluator(BayesianLinearRegression(), config)
    evaluator.adapt_search_space(SPACE, dataset_api=Sums())
    test = evaluator._mutations(15)
    train = evaluator._mutations(15, test)
    codes = [graph.get_code() for graph in (*test.architectures, *train.architectures)]
    assert "different mutations" not in caplog.text
    evaluator._seen = set(SPACE.get_arch_iterator())
    assert evaluator._mutations(3, test).values == [] and "3 different mutations are asked for, and 0" in caplog.text
    assert len(set(codes)) == 30 and test.values == [value(code) for code in codes[:15]]


def test_an_experiment_without_a_benchmark_or_of_no_kind_is_refused(tmp_path):
    evaluator = PredictorEvaluator(BayesianLinearRegression(), _config("predictor", tmp_path))
    evaluator.adapt_search_space(SPACE)
    with pytest.raises(BenchmarkApiMissing, match="dataset_api"):
        evaluator.evaluate()
    config = _config("predictor", tmp_path, "experiment_type=all")
    evaluator = PredictorEvaluator(BayesianLinearRegression(), config)
    evaluator.adapt_search_space(SPACE, dataset_api=Sums())
    with pytest.raises(ConfigError, match="vary_train_size"):
        evaluator.evaluate()


def test_rows_of_features_take_the_place_of_architectures():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (40, 8))
    values = rows @ np.arange(8.0)
    predictor = BayesianLinearRegression(encoding_type=None)
    predictor.fit(rows[:30], values[:30])
    np.testing.assert_allclose(predictor.query(rows[30:]), values[30:], atol=1e-6)
    with pytest.raises(TypeError, match="unexpected keyword"):
        BayesianLinearRegression(hpo_wraper=True)
    with pytest.raises(PredictorError, match="not been fitted"):
        BayesianLinearRegression(ss_type="nasbench201").query(rows)


def test_statistics_are_those_of_the_table(tmp_path):
    words = ["max_set_size=500", "max_nbhd_trials=3", "max_autocorr_trials=2", "walks=60", "autocorr_size=5"]
    config = _config("statistics", tmp_path, *words)
    evaluator = StatisticsEvaluator(config)
    evaluator.adapt_search_space(SPACE, dataset_api=Sums())
    found = evaluator.evaluate()
    expected = np.array([value(code) for code in evaluator._codes[:500]])
    assert found["mean"] == pytest.approx(expected.mean()) and found["maximum"] == expected.max()
    assert found["mean_test"] == pytest.approx(2 * expected.mean()) and found["size"] == 500
    assert found["spearman"] == pytest.approx(1.0) and found["pearson"] == pytest.approx(1.0)
    assert (found["nbhd_size_mean"], found["nbhd_size_std"]) == (24.0, 0.0)
    # a walk forgets: the correlation with itself is one, with what lies four steps back smaller
    assert found["autocorr_mean"][-1] == pytest.approx(1.0) and found["autocorr_mean"][0] < 0.9
    assert found["autocorr_x"][-1] == 0.0
    assert json.loads((Path(config.save) / "statistics.json").read_text())[1]["hist_20"] == found["hist_20"]


def test_a_proxy_from_a_table_is_compared_with_accuracies(tmp_path):
    codes = [code for code, _ in zip(SPACE.get_arch_iterator(), range(60), strict=False)]
    api = {str(c): {"val_accuracy": value(c), "snip": {"score": -value(c), "time": 1.0}} for c in codes}
    space = get_search_space("nasbench201", "cifar100", channels=4, cells_per_stage=1)
    assert space.n_classes == 100
    space.labeled_archs = codes
    config = _config("zc", tmp_path, "predictor=snip", "test_size=30")
    predictor = SimpleNamespace(method_type="snip", set_ss_type=lambda _: None, pre_process=lambda: None)
    evaluator = ZeroCostPredictorEvaluator(predictor, config=config, zc_api=api, use_zc_api=True)
    evaluator.adapt_search_space(space, load_labeled=True)
    _, found = evaluator.evaluate(api)
    assert found["spearman"] == pytest.approx(-1.0)
    assert json.loads((Path(config.save) / "scores.json").read_text())[1]["kendalltau"] == pytest.approx(-1.0)
    evaluator = ZeroCostPredictorEvaluator(predictor, config=config, zc_api={}, use_zc_api=True)
    evaluator.adapt_search_space(space, load_labeled=True)
    with pytest.raises(BenchmarkApiMissing, match="give adapt_search_space a dataset_api"):
        evaluator.evaluate()


def test_bananas_reads_proxies_and_asks_only_for_architectures_that_have_them():
    codes = [code for code, _ in zip(SPACE.get_arch_iterator(), range(300), strict=False)][::5]
    api = {str(code): {"val_accuracy": 0.0, "good": {"score": value(code)}, "bad": {"score": 1.0}} for code in codes}
    settings = {"num_init": 5, "k": 5, "predictor_type": "bayes_lin_reg", "num_ensemble": 1, "num_candidates": 500}
    settings |= {"acq_fn_optimization": "random_sampling", "acq_fn_type": "exploit_only"}
    search = Bananas(**settings, zc_api=api, use_zc_api=True, zc_names=["good"])
    search.adapt_search_space(SPACE, "cifar10", dataset_api=Sums())
    asked = []
    for _ in range(15):
        (trial,) = search.ask(1)
        search.tell(trial, [value(trial.code)])
        asked.append(trial.code)
    # what it asks for with a model is better than what it drew
    assert set(asked) <= set(codes) and np.mean([*map(value, asked[5:])]) > np.mean([*map(value, codes)]) + 2
    with pytest.raises(ConfigError, match="get_zc_benchmark_api"):
        Bananas(**settings, use_zc_api=True)
    unknown = Bananas(**settings, zc_api=api, use_zc_api=True, zc_names=["better"])
    with pytest.raises(ConfigError, match=r"better \(there are: good, bad"):
        unknown.adapt_search_space(SPACE, "cifar10", dataset_api=Sums())


def test_naslibs_keywords_have_their_effect_or_are_said_to_have_none(caplog, tmp_path):
    assert GPPredictor(kernel_type="RBF").hyperparams["kernel"] == "rbf"
    assert GPWLPredictor(ss_type="nasbench201", kernel_type="wloa", optimize_gp_hyper=True, h=2).hyperparams["h"] == 2
    assert "kernel_type='wloa' is without effect" in caplog.text
    caplog.clear()
    GPPredictor(optimize_gp_hyper=True, config=None, zc=False)
    assert not caplog.text
    GPPredictor(optimize_gp_hyper=False)
    assert "optimize_gp_hyper=False is without effect: what a process is fitted with is always fitted" in caplog.text
    with pytest.raises(ConfigError, match="leave zc_only out"):
        GPPredictor(zc_only=True)
    with pytest.raises(ConfigError, match="rbf, matern32, matern52, not 'cosine'"):
        GPPredictor(kernel_type="cosine")
    (tmp_path / "found.json").write_text('{"GPPredictor": {"kernel": "matern32"}}')
    assert GPPredictor(hparams_from_file=str(tmp_path / "found.json")).hyperparams["kernel"] == "matern32"
    (tmp_path / "found.json").write_text('{"GPPredictor": 3}')
    with pytest.raises(ConfigError, match="no mapping of hyperparameters"):
        GPPredictor(hparams_from_file=str(tmp_path / "found.json"))


def test_a_config_that_asks_for_proxies_has_them_read(tmp_path):
    words = ["optimizer=bananas", "search.use_zc_api=true", "search.zc_names=[snip]", f"out_dir={tmp_path}"]
    config = get_config_from_args(words, config_type="bbo-bs")
    api = {str(code): {"snip": {"score": float(sum(code))}} for code in [(0,) * 6, (1,) * 6]}
    assert Bananas(config, zc_api=api).zc_api is api and Bananas(config, zc_api=api).zc_names == ("snip",)
    # NASLib's runner makes every method of one config; keys of the one that it names mean nothing to the others
    assert RegularizedEvolution(config).population_size == 30
    other = get_config_from_args(["optimizer=re", *words[1:]], config_type="bbo-bs")
    assert other.search.use_zc_api is True and "use_zc_api" not in other.search
    with pytest.raises(ConfigError, match="zc_only"):
        get_config_from_args([*words, "search.zc_only=true"], config_type="bbo-bs")
