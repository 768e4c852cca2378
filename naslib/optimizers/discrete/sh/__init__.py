"""Successive halving."""

from .optimizer import SuccessiveHalving as SuccessiveHalving
