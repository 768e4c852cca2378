"""What the controller of NAS-RL is rewarded with, given what a trial was worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from naslib.errors import ConfigError
from naslib.history import Objective

REWARDS = ("cube", "inverse_square", "value")


def reward_of(name: str | None, constant: float, objective: Objective) -> Callable[[float], float]:
    """Return the function from a merit (larger is better) to the reward of [Zoph2017nasrl].

    Args:
        name: `"cube"`: the third power, of an accuracy in percent as a share; `"inverse_square"`: `constant / value^2`
            of what is minimised, a perplexity; `"value"`: the merit itself. None: by the objective, an accuracy cubed,
            a perplexity squared and inverted, anything else as it is.
        constant: See `inverse_square`; 80 in the paper.
        objective: What the merit is of.

    Raises:
        ConfigError: If `inverse_square` meets what is maximised, or `cube` what is minimised.
    """
    if name is None:
        is_perplexity = not objective.maximize and "perplexity" in objective.name.lower()
        name = "cube" if objective.is_accuracy else "inverse_square" if is_perplexity else "value"
    if (name == "inverse_square" and objective.maximize) or (name == "cube" and not objective.maximize):
        way, other = ("maximised", "cube or value") if objective.maximize else ("minimised", "inverse_square or value")
        raise ConfigError(f"search.reward={name} does not fit {objective.name}, which is {way}: take {other}")
    if name == "cube":
        scale = 100.0 if objective.unit == "%" else 1.0
        return lambda merit: (merit / scale) ** 3
    if name == "inverse_square":
        return lambda merit: constant / merit**2
    return lambda merit: merit


def best_of_last(curve: Sequence[float], count: int, objective: Objective) -> float:
    """Return the largest merit in the last epochs of a learning curve.

    Args:
        curve: Values of the objective after each epoch, at least one.
        count: How many epochs; fewer where the curve is shorter.
        objective: What they are of.
    """
    return max(objective.merit(float(value)) for value in curve[-count:])
