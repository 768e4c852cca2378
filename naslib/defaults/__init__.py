"""Defaults: the Trainer."""

from .trainer import Trainer as Trainer
