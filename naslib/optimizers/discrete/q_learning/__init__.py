"""Q-learning over the words of architectures."""

from .optimizer import QLearning as QLearning
