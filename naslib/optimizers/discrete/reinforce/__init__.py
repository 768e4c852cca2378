"""REINFORCE on the decisions of a space."""

from .optimizer import ReinforceController as ReinforceController
