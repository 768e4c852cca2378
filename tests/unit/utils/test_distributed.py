"""Ranks: alone nothing happens; two real processes agree, and their derivatives are those of one."""

from __future__ import annotations

import pytest
import rank_acts
import torch
from ranks import Ranks

from naslib.errors import ConfigError
from naslib.utils import distributed


def test_alone_nothing_happens() -> None:
    assert rank_acts.told() == {
        "rank": 0,
        "world": 1,
        "main": True,
        "distributed": False,
        "broadcast": {"of": 0},
        "gathered": [0],
        "any": (False, False),
        "on_main": ("from rank 0", [0]),
    }
    tensor = torch.ones(3, requires_grad=True)
    distributed.sum_over_ranks_([tensor.detach()])
    assert distributed.gather_rows(tensor) is tensor and distributed.sum_of_ranks(tensor) is tensor
    assert tensor.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ConfigError, match="no such space"):
        distributed.on_main(lambda: (_ for _ in ()).throw(ConfigError("no such space")))


@pytest.mark.parametrize(("n", "world", "sizes"), [(8, 2, [4, 4]), (7, 3, [3, 2, 2]), (2, 4, [1, 1, 0, 0])])
def test_shares_follow_each_other(n: int, world: int, sizes: list[int]) -> None:
    shares = [distributed.share_of(n, rank, world) for rank in range(world)]
    assert [len(range(n)[share]) for share in shares] == sizes
    assert [row for share in shares for row in range(n)[share]] == list(range(n))


def test_small_batches_are_whole() -> None:
    assert [distributed.is_shared(n, 1, 2) for n in (1, 2, 3)] == [False, True, True]
    assert [distributed.is_shared(n, 2, 2) for n in (2, 3, 4)] == [False, False, True]
    assert not distributed.is_shared(8, 1, 1)


def test_two_ranks_agree(two_ranks: Ranks) -> None:
    first, second = two_ranks.run(rank_acts.told)
    assert first["rank"] == 0 and first["main"] and second["rank"] == 1 and not second["main"]
    assert first["on_main"] == ("from rank 0", [0]) and second["on_main"] == ("from rank 0", [])
    for found in (first, second):
        assert found["world"] == 2 and found["distributed"]
        assert found["broadcast"] == {"of": 0} and found["gathered"] == [0, 10] and found["any"] == (True, False)
    assert two_ranks.run(rank_acts.refused) == ["no such space"] * 2
    assert two_ranks.run(rank_acts.sums) == [[[[3.0, 3.0], [3.0, 3.0]], 3.0, [6], [1.5, 1.5, 1.5], [[1.5, 1.5]]]] * 2
    assert two_ranks.run(rank_acts.unequal_rows) == [[0.0, 1.0, 1.0]] * 2
    assert two_ranks.run(rank_acts.wrong_share)[1] == "DataError: rank 1 has 4 of 5 rows, its share is 2"


@pytest.mark.parametrize("total", [6, 7])
def test_derivatives_are_those_of_the_joined_rows(two_ranks: Ranks, total: int) -> None:
    wanted = rank_acts.derivatives(total, False)
    torch.testing.assert_close(wanted["product"], torch.tensor(wanted["times"]).view(3, 2).tolist(), rtol=1e-6, atol=0)
    found = two_ranks.run(rank_acts.derivatives, total, True)
    assert found[0]["own"] != found[1]["own"]
    for name in ("loss", "gradient", "hessian", "product"):
        assert found[0][name] == found[1][name]
        torch.testing.assert_close(
            torch.tensor(found[0][name], dtype=torch.float64),
            torch.tensor(wanted[name], dtype=torch.float64),
            rtol=1e-12,
            atol=1e-13,
        )
