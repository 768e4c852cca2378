"""Registries: callables by name, known before they are imported."""

from .registry import Registry as Registry
