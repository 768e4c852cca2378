"""Every proxy on every space: a finite number, or a refusal that says why; the network is as before."""

from __future__ import annotations

import math
from random import Random

import pytest
import torch

from naslib.errors import PredictorError
from naslib.predictors import PROXIES, compute_proxy
from naslib.predictors.proxies.scoring import seeded_network
from naslib.tasks import build_task
from tests.support.zoo import ENTRIES

# Spaces of the zoo whose networks cannot be built at their own size
FIXED = {"nasnet_combined"}
QUICK = {"simple_cell", "own_module", "gpt"}
SPACES = [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in sorted(ENTRIES) if n not in FIXED]
# What an architecture that works and a classification of images always have
ALWAYS = {"params", "flops", "l2_norm", "grad_norm", "snip", "plain", "synflow", "logsynflow", "zico", "grasp"}


@pytest.mark.parametrize("name", SPACES)
def test_a_finite_number_or_a_reason(name: str) -> None:
    entry = ENTRIES[name]
    torch.manual_seed(0)
    space = entry.make(n_classes=4, in_channels=3)
    network = seeded_network(space, space._codec().random(Random(1)), 0)
    task, batch = build_task(entry.task), entry.batch(8, 0, in_channels=3, n_classes=4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    refused = {}
    for proxy in PROXIES.names():
        try:
            assert math.isfinite(compute_proxy(proxy, network, task, batch, 0)), proxy
        except PredictorError as error:
            refused[proxy] = str(error)
    assert not ALWAYS & refused.keys(), refused
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
