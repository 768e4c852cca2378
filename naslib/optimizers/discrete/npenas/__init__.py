"""NPENAS."""

from .optimizer import Npenas as Npenas
