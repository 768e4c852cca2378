"""Asynchronous successive halving."""

from .optimizer import ASHA as ASHA
