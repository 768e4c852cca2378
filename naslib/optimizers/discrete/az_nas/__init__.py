"""The search of AZ-NAS: see `optimizer`."""

from .optimizer import AZNASSearch as AZNASSearch
