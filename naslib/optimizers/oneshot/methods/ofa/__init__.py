"""Once-for-all: progressive shrinking of a network whose sizes are decisions."""

from .optimizer import OFAOptimizer as OFAOptimizer
