"""Proximal policy optimization on the decisions of a space."""

from .optimizer import PPOController as PPOController
