"""One search for many devices: a hypernetwork from a preference and a device to architectures."""

from .optimizer import MODNAS as MODNAS
