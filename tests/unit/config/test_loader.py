"""Files, overrides and mappings become one config, or one error with every problem."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from naslib.config.config import Config, config_to_yaml
from naslib.config.extensions import SchemaExtensions, check_type
from naslib.config.find import find_config_file, shipped_configs
from naslib.config.loader import load_config
from naslib.config.yaml_reader import parse_value
from naslib.errors import ConfigError
from naslib.utils.attrdict import AttrDict


def problems_of(source: Any, overrides: tuple[str, ...] = (), extensions: SchemaExtensions | None = None) -> list[str]:
    with pytest.raises(ConfigError) as info:
        load_config(source, overrides, extensions=extensions)
    return info.value.problems


def keywords(function: Any) -> Any:
    return inspect.signature(function).parameters


class Darts:
    def __init__(self, learning_rate: float = 0.1, own: int = 3, unrolled: bool = False, **kwargs: Any) -> None: ...


class Gdas:
    def __init__(self, *, tau_max: float, tau_min: float = 1, gradient: Literal["ones", "zero"] = "ones") -> None: ...


class Space:
    def __init__(self, n_classes: int = 10, channels: int = 16, name: str | None = None) -> None: ...


class NeedySpace:
    def __init__(self, width: int, depth: int | None = None) -> None: ...


EXTENSIONS = SchemaExtensions(
    optimizers={"darts": keywords(Darts), "gdas": keywords(Gdas)},
    spaces={"nasbench201": keywords(Space), "needy": keywords(NeedySpace)},
    datasets=["cifar10", "digits", "ImageNet16-120"],
)


# ---------------------------------------------------------------- the config object


def test_attribute_access_and_unpacking() -> None:
    config = load_config({"search": {"epochs": 3}, "search_space_args": {"channels": 4}})
    assert isinstance(config, Config)
    config.search.epochs = 2
    assert config["search"]["epochs"] == 2
    assert dict(**config.search)["epochs"] == 2
    assert config.search_space_args.channels == 4
    assert type(config.search) is AttrDict
    with pytest.raises(AttributeError, match="did you mean 'search'"):
        _ = config.serach


def test_save_follows_its_parts_and_can_be_assigned() -> None:
    config = load_config({"out_dir": Path("a") / "b", "seed": 4, "dataset": "../x y", "search_space": ".."})
    assert config.save == "a/b/_/.._x_y/darts/4"
    assert isinstance(config.save, str)
    for dataset in ("photos", "photos/", "./photos", "./photos//"):
        assert load_config({"dataset": dataset}).save.split("/")[-3] == "photos"
    config.seed = 5
    assert config.save.endswith("/5")
    config.save = Path("elsewhere")
    assert config.save == "elsewhere"
    assert "save" not in config
    for other in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), copy.copy(config), load_config(config)):
        assert isinstance(other, Config)
        assert other == config
        assert other.save == "elsewhere"


def test_naslib_attributes_are_no_keys() -> None:
    config = load_config({"seed": 7})
    assert (config.search.seed, config.evaluation.seed) == (7, 7)
    assert (config.resume, config.eval_only, config.model_path, config.notes) == (False, False, None, [])
    assert not {"resume", "seed"} & set(config.search) | {"resume", "notes"} & set(config)
    assert copy.deepcopy(config).search.seed == 7


def test_the_source_is_not_changed() -> None:
    source = {"search": {"seed": 3, "gpu": 1, "learning_rate": 1}, "seed": 3}
    before = copy.deepcopy(source)
    load_config(source, ["search.epochs=9"])
    assert source == before


def test_yaml_round_trip(tmp_path: Path) -> None:
    config = load_config(
        {"search": {"learning_rate_min": 1e-5, "grad_clip": None}, "search_space_args": {"a": [1, "x"]}}
    )
    path = tmp_path / "config.yaml"
    path.write_text(config_to_yaml(config))
    assert load_config(path) == config
    # plain YAML, for other programs too
    assert yaml.safe_load(path.read_text())["search"]["learning_rate_min"] == 1e-5


# ---------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("1e-3", 1e-3), ("1E5", 1e5), ("-1.5e+2", -150.0), (".5", 0.5), ("1.", 1.0), ("3e-4", 3e-4), ("1_000", 1000)],
        *[
            ("012", 12),
            ("0x1F", 31),
            ("0o17", 15),
            ("-3", -3),
            ("+3", 3),
            ("1:30", "1:30"),
            ("2020-01-01", "2020-01-01"),
        ],
        *[("true", True), ("off", False), ("null", None), ("", None), ("~", None), ("'1e-3'", "1e-3"), ("e3", "e3")],
        *[("{a: 1e-3, b: [1, x]}", {"a": 1e-3, "b": [1, "x"]}), ("-", [None]), ("nan", "nan"), (".inf", float("inf"))],
        *[("-.inf", float("-inf")), ("darts", "darts"), ("1e", "1e"), ("3d", "3d"), ("a=b", "a=b"), ("x#y", "x#y")],
    ],
)
def test_values(text: str, expected: Any) -> None:
    value = parse_value(text)
    assert value == expected
    assert type(value) is type(expected)


def test_not_a_number() -> None:
    assert parse_value(".nan") != parse_value(".nan")


def test_file_with_numbers_sections_and_merges(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# runs\nsearch: &s\n  learning_rate: 1e-3\nevaluation:\n  <<: *s\n")
    config = load_config(str(path))
    assert config.evaluation.learning_rate == 1e-3
    path.write_text("search:\n#  epochs: 3\nevaluation:\n")
    assert load_config(path) == load_config(None)
    path.write_text("")
    assert load_config(path) == load_config(None)
    path.write_bytes(b"\xef\xbb\xbfseed: 3\r\n")
    assert load_config(path).seed == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("search:\n  epochs: [1, 2\nseed: 3\n", ["bad.yaml:3:", "not valid YAML"]),
        ("search:\n\tepochs: 1\n", ["bad.yaml:2:1", "spaces, not tabs"]),
        ("a: b: c\n", ["bad.yaml:1:5"]),
        ("- 1\n- 2\n", ["expected a mapping", "list"]),
        (
            "seed: 1\nsearch:\n  epochs: 2\n  epochs: 3\n",
            ["bad.yaml:4: search.epochs is given twice (first in line 3)"],
        ),
        ("seed: !!python/object/apply:os.getcwd []\n", ["bad.yaml:1", "python/object"]),
        ("a: *nowhere\n", ["bad.yaml:1", "nowhere"]),
        ("seed: 1\n---\nseed: 2\n", ["bad.yaml:2", "another document"]),
        ("seed: 0x\x07\n", ["bad.yaml"]),
        ("? [1, 2]\n: 3\n", ["bad.yaml:1:3", "unhashable key"]),
        ("1: 3\n", ["a key must be text", "1 (an integer)"]),
    ],
)
def test_bad_files(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    message = "\n".join(problems_of(path))
    for word in words:
        assert word in message, message


def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"seed: \xff\xfe")
    assert "cannot read" in problems_of(tmp_path / "a.yaml")[0]


# ---------------------------------------------------------------- problems


def test_all_problems_at_once_with_places(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "optimzer: darts\nepochs: 3\nseed: '7'\nsearch:\n  epochz: 3\n  batch_size: true\n  momentum: '1e-3'\n"
        "  hessian: exac\n  cells: 3\nevaluation:\n  epochs: 5.0\n  tau_min: 1\n"
    )
    found = problems_of(path, ("search.tau_max=0", "evaluation.epochs=6.0", "noise"))
    assert found == [
        "'noise': the value is missing; write noise=VALUE or noise VALUE",
        "bad.yaml:1: optimzer: unknown key at the top level; did you mean 'optimizer'?",
        "bad.yaml:2: epochs: unknown key at the top level; did you mean 'search.epochs' or 'evaluation.epochs'?",
        "bad.yaml:5: search.epochz: unknown key in section 'search'; did you mean 'search.epochs'?",
        "bad.yaml:9: search.cells: unknown key in section 'search'; did you mean 'evaluation.cells'?",
        "bad.yaml:12: evaluation.tau_min: unknown key in section 'evaluation'; did you mean 'search.tau_min'?",
        "bad.yaml:3: seed: expected an integer, got '7' (text); leave out the quotes",
        "bad.yaml:6: search.batch_size: expected an integer, got true (true/false)",
        "bad.yaml:7: search.momentum: expected a number, got '1e-3' (text); leave out the quotes",
        "search.tau_max: expected a number > 0, got 0 (an integer)",
        "bad.yaml:8: search.hessian: expected 'finite_difference' or 'exact', got 'exac' (text); did you mean 'exact'?",
        "evaluation.epochs: expected an integer, got 6.0 (a number); write 6",
    ]
    with pytest.raises(ValueError, match="optimzer"):
        load_config(path)


def test_union_problem_is_one_line() -> None:
    (problem,) = problems_of({"search": {"channels_last": "autp"}})
    assert problem.startswith("search.channels_last: expected 'auto' or true or false, got 'autp' (text)")


def test_unknown_key_without_a_near_one() -> None:
    assert problems_of({"qqqqqq": 1}) == ["qqqqqq: unknown key at the top level"]
    assert problems_of({"tau_ma": 1}) == ["tau_ma: unknown key at the top level; did you mean 'search.tau_max'?"]


def test_schedules_must_fall() -> None:
    both = {"search": {"learning_rate": 0.01, "learning_rate_min": 0.1, "tau_min": 3, "tau_max": 2}}
    assert len(problems_of(both)) == 2
    config = load_config({"search": {"learning_rate": 1e-4}})
    assert "search.learning_rate_min" in config.notes[0]


def test_names_of_torch() -> None:
    found = problems_of(
        {"search": {"op_optimizer": "SDG", "loss_criteria": "CrossEntropy Los", "arch_optimizer": "Adma"}}
    )
    assert [problem.split(":")[0] for problem in found] == [
        "search.op_optimizer",
        "search.arch_optimizer",
        "search.loss_criteria",
    ]
    assert "did you mean 'SGD'" in found[0]
    assert load_config({"search": {"op_optimizer": "rmsprop", "loss_criteria": "mse"}}).search.op_optimizer == "rmsprop"


# ---------------------------------------------------------------- overrides


def test_overrides_in_both_manners() -> None:
    words = ["optimizer=gdas", "search.epochs", "2", "search.learning_rate=1e-3", "search_space_args.channels", "8"]
    config = load_config({"optimizer": "darts", "search": {"batch_size": 3}}, [*words, "out_dir=a=b", "seed", "5"])
    assert config.optimizer == "gdas"
    assert (config.search.epochs, config.search.learning_rate, config.search.batch_size) == (2, 1e-3, 3)
    assert config.search_space_args == {"channels": 8}
    assert (config.out_dir, config.seed) == ("a=b", 5)


def test_later_overrides_win_and_sections_merge() -> None:
    config = load_config(
        {"search": {"batch_size": 3}}, ["search={epochs: 2, batch_size: 7}", "search.epochs=4", "data="]
    )
    assert (config.search.epochs, config.search.batch_size, config.data) == (4, 7, None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["search.epochs"], "'search.epochs': the value is missing"),
        (["search.epochs", "seed=3"], "'search.epochs': the value is missing"),
        (["darts.yaml"], "--config darts.yaml"),
        (["=3"], "expected key=value or KEY VALUE"),
        (["3", "4"], "expected key=value or KEY VALUE"),
        (["seed=[1"], "seed: cannot read the value '[1'"),
        (["seed.x=3"], "seed.x: seed is 1, which has no keys of its own"),
        (["search.epochs=two"], "search.epochs: expected an integer, got 'two' (text)"),
        (["search.epochs='2'"], "leave out the quotes"),
        (["search.optim.lr=3"], "search.optim: unknown key"),
    ],
)
def test_bad_overrides(words: list[str], expected: str) -> None:
    assert expected in "\n".join(problems_of({"seed": 1}, tuple(words)))


# ---------------------------------------------------------------- NASLib's files


def test_keys_without_meaning_give_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    raw = {
        "gpu": 0,
        "save": "run",
        "search": {"warm_start_epochs": 0, "data_size": 25000, "output_weights": True, "drop_path_prob": 0.0},
        "evaluation": {"world_size": 1, "rank": 0, "dist_url": "x", "multiprocessing_distributed": False, "trial": 3},
    }
    config = load_config(raw, ["search.debug_predictor=False", "search.plot_arch_weights", "True"])
    assert config == load_config(None)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for word in ("gpu (", "search.warm_start_epochs (", "search.data_size (the size follows", "evaluation.rank ("):
        assert word in record.message
    assert config.notes
    assert problems_of({"evaluation": {"drop_path_probb": 1}})
    assert load_config({"evaluation": {"drop_path_prob": 0.3}}).evaluation.drop_path_prob == 0.3


def test_seed_and_data_inside_sections() -> None:
    old = {"search": {"seed": 10, "dataset": "svhn", "data": "../data"}, "evaluation": {"seed": 10, "dataset": "svhn"}}
    config = load_config(old)
    assert (config.seed, config.dataset, config.data) == (10, "svhn", "../data")
    assert "seed" not in config.search
    assert load_config(old, ["seed=3"]).seed == 3
    assert load_config(old, ["search.seed=4"]).seed == 4
    assert problems_of({"seed": 1, "search": {"seed": 2}, "evaluation": {"seed": 1}}) == [
        "search.seed: 2 contradicts seed: 1; seed is set once, at the top level"
    ]


# ---------------------------------------------------------------- registered names and keywords


def test_names_are_checked_and_lowered() -> None:
    config = load_config(
        {"optimizer": "DARTS", "search_space": "NASBench201", "dataset": "ImageNet16-120"}, extensions=EXTENSIONS
    )
    assert (config.optimizer, config.search_space, config.dataset) == ("darts", "nasbench201", "ImageNet16-120")
    found = problems_of({"optimizer": "dart", "search_space": "nasbench21", "dataset": "digit"}, extensions=EXTENSIONS)
    assert [problem.split(";")[1].split("?")[0] for problem in found] == [
        " did you mean 'darts'",
        " did you mean 'nasbench201'",
        " did you mean 'digits'",
    ]
    assert load_config({"optimizer": "anything"}).optimizer == "anything"
    assert "none is registered" in problems_of(None, extensions=SchemaExtensions(optimizers={}))[0]


def test_own_keywords_extend_the_search_section() -> None:
    assert load_config({"search": {"own": 5}}, extensions=EXTENSIONS).search.own == 5
    assert problems_of({"search": {"own": "5"}}, extensions=EXTENSIONS) == [
        "search.own: expected an integer, got '5' (text)"
    ]
    assert problems_of({"search": {"owm": 5}}, extensions=EXTENSIONS) == [
        "search.owm: unknown key in section 'search'; did you mean 'search.own'?"
    ]
    assert problems_of({"search": {"own": 5}})
    for never in ("self", "kwargs", "config"):
        assert problems_of({"search": {never: 5}}, extensions=EXTENSIONS)


def test_keywords_of_other_optimizers_are_named_and_taken_out(caplog: pytest.LogCaptureFixture) -> None:
    config = load_config({"search": {"gradient": "zero", "threshold": 1e-6}}, extensions=EXTENSIONS)
    assert not {"gradient", "threshold"} & set(config.search)
    (record,) = caplog.records
    assert "search.gradient, search.threshold: not used by darts" in record.message
    assert (
        load_config({"optimizer": "gdas", "search": {"gradient": "zero"}}, extensions=EXTENSIONS).search.gradient
        == "zero"
    )
    assert (
        "expected 'ones' or 'zero'"
        in problems_of({"optimizer": "gdas", "search": {"gradient": "on"}}, extensions=EXTENSIONS)[0]
    )


def test_shared_keys_that_the_optimizer_does_not_read(caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(
        {"search": {"k": 7, "predictor_type": "gp", "batch_size": 8, "unrolled": True}}, extensions=EXTENSIONS
    )
    assert (config.search.k, config.search.predictor_type) == (7, "gp")
    (record,) = caplog.records
    assert "search.k, search.predictor_type: not used by darts" in record.message
    assert "batch_size" not in record.message
    caplog.clear()
    # The echo of that run names what was wished, and not the defaults that came along.
    again = load_config(config.to_dict(), extensions=EXTENSIONS)
    assert again == config
    assert [record.message for record in caplog.records] == [
        "config: search.k, search.predictor_type: not used by darts"
    ]
    caplog.clear()
    load_config(None, extensions=EXTENSIONS)
    assert not caplog.records


def test_space_keywords() -> None:
    config = load_config({"search_space_args": {"channels": 8, "name": None}}, extensions=EXTENSIONS)
    assert config.search_space_args == {"channels": 8, "name": None}
    raw = {"search_space_args": {"chanels": 8, "name": 3, "n_classes": True}}
    assert problems_of(raw, extensions=EXTENSIONS) == [
        "search_space_args.chanels: no keyword of 'nasbench201'; did you mean 'channels'? "
        "(keywords: n_classes, channels, name)",
        "search_space_args.name: expected text or null, got 3 (an integer)",
        "search_space_args.n_classes: expected an integer, got true (true/false)",
    ]
    assert problems_of({"search_space": "needy", "search_space_args": {"depth": "x"}}, extensions=EXTENSIONS) == [
        "search_space_args.width: required by 'needy'",
        "search_space_args.depth: expected an integer or null, got 'x' (text)",
    ]


def test_data_set_keywords() -> None:
    extensions = SchemaExtensions(datasets={"mine": keywords(Space)})
    config = load_config({"dataset": "mine", "dataset_args": {"channels": 1}}, extensions=extensions)
    assert config.dataset_args.channels == 1
    assert "no keyword of 'mine'" in problems_of({"dataset": "mine", "dataset_args": {"x": 1}}, (), extensions)[0]


@pytest.mark.parametrize(
    ("value", "annotation", "right"),
    [
        *[(1, "int", True), (1, int, True), (True, "int", False), (1, "float", True), (1.5, float, True)],
        *[(True, float, False), ("x", "str | None", True), (None, "str | None", True), (3, "str | None", False)],
        *[("a", 'Literal["a", "b"]', True), ("c", 'Literal["a", "b"]', False), ("a", Literal["a"], True)],
        *[("c", Literal["a"] | None, False), (1, "Sequence[int]", True), (object(), "Any", True), (3, Any, True)],
        *[
            (None, int | None, True),
            ("x", int | str, True),
            (1.0, "int | str", False),
            (1, inspect.Parameter.empty, True),
        ],
        *[
            (True, Literal[1], False),
            ({}, dict, True),
            ("a", "Literal['a', 'b'] | None", True),
            (1, "Literal[x]", True),
        ],
    ],
)
def test_annotations(value: Any, annotation: Any, right: bool) -> None:
    assert (check_type(value, annotation) is None) is right


# ---------------------------------------------------------------- finding files


def test_finding_config_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text("seed: 3")
    (tmp_path / "top.yaml").write_text("seed: 4")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 5")
    assert load_config("mine").seed == 3
    assert load_config("mine.yaml").seed == 3
    assert load_config(tmp_path / "top.yaml").seed == 4
    assert load_config("run").seed == 5
    (tmp_path / "mine.yaml").write_text("seed: 6")
    assert load_config("mine.yaml").seed == 6


def test_shipped_configs_and_their_near_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "darts_digits.yaml").write_text("seed: 8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("naslib.config.find.shipped_folders", lambda: [shipped])
    assert find_config_file("darts_digits") == shipped / "darts_digits.yaml"
    with pytest.raises(ConfigError, match=r"did you mean 'darts_digits\.yaml'"):
        find_config_file("darts_digit.yaml")


def test_shipped_configs_in_subfolders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = tmp_path / "shipped" / "published"
    published.mkdir(parents=True)
    (published / "gdas_nasbench201.yaml").write_text("seed: 8")
    (tmp_path / "shipped" / "zero.yaml").write_text("seed: 9")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("naslib.config.find.shipped_folders", lambda: [tmp_path / "shipped"])
    assert shipped_configs() == ["zero.yaml", "published/gdas_nasbench201.yaml"]
    assert find_config_file("published/gdas_nasbench201") == published / "gdas_nasbench201.yaml"
    with pytest.raises(ConfigError, match=r"did you mean 'published/gdas_nasbench201\.yaml'"):
        find_config_file("gdas_nasbench201.yaml")


def test_shipped_configs_of_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import naslib

    package = tmp_path / "naslib" / "_configs"
    package.mkdir(parents=True)
    (package / "only_installed.yaml").write_text("seed: 11")
    monkeypatch.setattr(naslib, "__path__", [*naslib.__path__, str(tmp_path / "naslib")])
    monkeypatch.chdir(tmp_path)
    assert load_config("only_installed").seed == 11
    sys.modules.pop("naslib._configs", None)


def test_shipped_folder_of_a_checkout() -> None:
    from naslib.config import find

    checkout = Path(find.__file__).resolve().parents[2] / "configs"
    if checkout.is_dir():
        assert checkout in find.shipped_folders()
