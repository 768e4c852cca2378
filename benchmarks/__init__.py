"""Speed and memory of naslib beside plain reference models; `python -m benchmarks.run --quick` (see README.md)."""
