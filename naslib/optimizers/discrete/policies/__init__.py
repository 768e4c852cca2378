"""Policies: distributions over the architectures of any decision space that a gradient can move."""
