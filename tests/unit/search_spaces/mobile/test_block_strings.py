"""Block strings: what they mean, that they survive the way there and back, and what is said of wrong ones."""

from __future__ import annotations

from random import Random

import pytest
import torch

from naslib.errors import ConfigError
from naslib.search_spaces.core.mobile import BlockSpec, build_blocks, expand_alternatives, format_block, parse_block
from naslib.search_spaces.core.mobile.strings import spec_of

STRINGS = [
    "ds_r1_k3_s1_e1_c16",
    "ds_r2_k5_s2_e1_c16_se0.5_noskip",
    "ir_r3_k3_s2_e6_c24_se0.25_nsw",
    "ir_r2_k5_s1_e2.5_c80_nhs_noskip",
    "ir_r2_k3_s1_e1_c16_gr2",
    "er_r2_k3_s2_e4_c24",
    "cn_r1_k1_s1_c960",
    "cn_r2_k3_s1_c16_skip",
]


def test_a_string_says_what_it_says() -> None:
    assert parse_block("ir_r3_k5_s2_e3_c40_se0.25_nre") == BlockSpec("ir", 5, 2, 40, 3, 3.0, 0.25, "re")
    assert parse_block("ds_k3_s1_c16_noskip") == BlockSpec("ds", 3, 1, 16, skip=False)
    assert parse_block("cn_c8_s2_k1_skip").adds_input and not parse_block("cn_c8_s2_k1").adds_input
    assert parse_block("ir_k3_s1_c8").adds_input and not parse_block("ir_k3_s1_c8_noskip").adds_input


@pytest.mark.parametrize("text", STRINGS)
def test_a_string_is_what_its_blocks_are(text: str) -> None:
    spec = parse_block(text)
    assert format_block(spec) == text and str(spec) == text
    # with as many channels before as after, so that every block could add its input
    blocks = build_blocks(spec, spec.channels)
    assert format_block(spec_of(blocks)) == text.replace("_nre", "")
    assert len(blocks) == spec.repeats
    assert [block.stride for block in blocks] == [spec.stride] + [1] * (spec.repeats - 1)
    x = torch.rand(2, spec.channels, 8, 8)
    for block in blocks:
        x = block(x)
    assert x.shape == (2, spec.channels, 8 // spec.stride, 8 // spec.stride)


def test_any_stage_survives_the_way_to_a_string_and_back() -> None:
    rng = Random(0)
    for _ in range(200):
        kind = rng.choice(["ir", "ds", "er", "cn"])
        spec = BlockSpec(
            kind,
            kernel_size=rng.choice([1, 3, 5, 7]),
            stride=rng.choice([1, 2]),
            channels=rng.randint(1, 2000),
            repeats=rng.randint(1, 9),
            expansion=rng.choice([1.0, 2.3, 6.0]) if kind in ("ir", "er") else 1.0,
            se_ratio=rng.choice([0.0, 0.25]) if kind != "cn" else 0.0,
            activation=rng.choice([None, "re", "r6", "sw", "hs"]),
            groups=rng.choice([1, 2]) if kind == "ir" else 1,
            skip=rng.choice([None, True, False]),
        )
        assert parse_block(format_block(spec)) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ri_k3_s1_c8", "no block type 'ri'; did you mean 'ir'?"),
        ("ir_k4_s1_c8", "'k4': k is kernel_size, an odd number"),
        ("ir_k3_s1", "c (channels) is missing"),
        ("ir_k3_s1_c8_se2", "'se2': se is se_ratio, a ratio in [0, 1]"),
        ("cn_k3_s1_c8_e3", "cn (convolution) has no expansion"),
        ("ds_k3_s1_e6_c8", "ds does not widen: e must be 1, not 6"),
        ("ir_k3_k5_s1_c8", "'k5' says again what was said before"),
        ("ir_k3_s1_c8_nope", "n is activation, one of re, r6, sw, hs"),
        ("ir_k3_s1_c8_noskp", "'noskp'"),
        ("ir_k3_s1_c8_q7", "'q7' is no setting"),
        ("ir_k3_s0_c8", "s is stride, a number, at least 1"),
        ("ir_r0_k3_s1_c8", "r is repeats, a number of blocks, at least 1"),
        ("", "no block type ''"),
    ],
)
def test_a_wrong_string_is_told_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_block(text)
    assert words in str(raised.value) and "ir_r2_k3_s2_e6_c24" in str(raised.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_block("ir_k4_s1_c8_se9")
    assert "k4" in str(raised.value) and "se9" in str(raised.value)


def test_alternatives_are_all_combinations() -> None:
    assert expand_alternatives("ir_r2_k3|5_s2_e3|6_c24") == [
        "ir_r2_k3_s2_e3_c24",
        "ir_r2_k3_s2_e6_c24",
        "ir_r2_k5_s2_e3_c24",
        "ir_r2_k5_s2_e6_c24",
    ]
    assert expand_alternatives("ir|ds_k3|k5_s1_c8_se0|0.25_noskip|skip_nre|nhs")[0] == "ir_r1_k3_s1_e1_c8_nre_noskip"
    assert len(expand_alternatives("ir|ds_k3|k5_s1_c8_se0|0.25_noskip|skip_nre|nhs")) == 32
    assert expand_alternatives("ir_k3_s1_c8") == ["ir_r1_k3_s1_e1_c8"]
    with pytest.raises(ConfigError, match="more than once"):
        expand_alternatives("ir_k3|3_s1_c8")
    with pytest.raises(ConfigError, match="stands for 81 blocks"):
        expand_alternatives("ir_r1|2|3_k3|5|7_s1_e1|2|3_c8|16|24")


def test_blocks_that_are_no_stage_have_no_string() -> None:
    three, five = build_blocks(parse_block("ir_k3_s1_e1_c4"), 4)[0], build_blocks(parse_block("ir_k5_s1_e1_c4"), 4)[0]
    with pytest.raises(ConfigError, match=r"block 2, .*k5.*, does not repeat the first one"):
        spec_of([three, five])
    with pytest.raises(ConfigError, match="at least one block"):
        spec_of([])
