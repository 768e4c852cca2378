"""Training: search and evaluation loops, checkpoints, reports."""
