"""Export: the trained network of a run as files that need no naslib."""
