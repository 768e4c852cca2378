"""Searches that read architectures as sequences and write new ones."""
