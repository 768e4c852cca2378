"""TransformerSpace: what spaces of transformers have in common, whatever they read."""

from __future__ import annotations

from .elastic import checked_dropout, set_dropout
from .graph import Graph


class TransformerSpace(Graph):
    """A space whose networks are transformers of one elastic network, retrained with a dropout of their own."""

    def evaluation_network(
        self,
        cells: int | None = None,
        channels: int | None = None,
        auxiliary: bool | None = None,
        dropout: float | None = None,
    ) -> Graph:
        """Return the network that is retrained for this architecture: fresh weights; its branches know drop-path.

        Args:
            cells: Not taken: an architecture has its depth.
            channels: Not taken: an architecture has its width.
            auxiliary: Not used; there is no auxiliary head.
            dropout: Share of features and attention weights that is dropped; as in the search if None.

        Raises:
            UnsupportedBySpaceError: If `cells` or `channels` are given.
            ConfigError: If the dropout is no share.
        """
        network = super().evaluation_network(cells, channels, auxiliary)
        if dropout is not None:
            set_dropout(network, checked_dropout(dropout))
        return network
