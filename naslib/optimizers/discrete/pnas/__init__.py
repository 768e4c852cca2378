"""PNAS: cells that grow block by block."""

from .optimizer import PNAS as PNAS
