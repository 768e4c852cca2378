"""Random search."""

from .optimizer import RandomSearch as RandomSearch
