"""Neural architecture search with reinforcement learning."""

from .optimizer import NASRL as NASRL
