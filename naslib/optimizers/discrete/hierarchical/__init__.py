"""Evolution of hierarchical architectures."""

from .optimizer import HierarchicalEvolution as HierarchicalEvolution
