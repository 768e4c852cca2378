"""SequenceModel: encode an architecture as a sequence, predict its value from the embedding, and decode it again."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_HALF = 0.5**0.5
# The token that every decoded sequence begins after
START = 0


class Encoded(NamedTuple):
    """What the encoder makes of n sequences.

    Attributes:
        steps: One output per token, `(n, l, h)`, each of length 1.
        embedding: Their mean, normalised, `(n, h)`.
        value: What is predicted, `(n,)`.
    """

    steps: Tensor
    embedding: Tensor
    value: Tensor


class Encoder(nn.Module):
    """Embed tokens, read them in both directions by an LSTM, and predict a value from the mean of its outputs.

    Luo et al. (2018), [Luo2018nao], in the form of Luo et al. (2020), [Luo2020seminas]: a residual connection around
    the LSTM and around the layers of the predictor, outputs and their mean normalised.

    Args:
        vocabulary: Number of tokens.
        hidden: Features h.
        mlp: Width of the predictor's layer.
        dropout: Of embeddings and of the predictor.
        extra: Numbers of each architecture that the predictor sees beside the embedding.
        is_bounded: Whether values are in (0, 1), by a sigmoid.
    """

    def __init__(
        self, vocabulary: int, hidden: int, mlp: int, dropout: float, extra: int = 0, is_bounded: bool = False
    ) -> None:
        super().__init__()
        self.is_bounded = is_bounded
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.rnn = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * hidden, hidden)
        self.mlp = nn.Sequential(
            nn.Linear(hidden + extra, mlp), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(mlp, hidden), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.regressor = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, extra: Tensor | None = None) -> Encoded:
        """Return what becomes of tokens `(n, l)` and further numbers `(n, e)`."""
        embedded = self.dropout(self.embedding(tokens))
        steps = F.normalize(embedded + self.project(self.rnn(embedded)[0]), dim=-1)
        return self.read(steps, extra)

    def read(self, steps: Tensor, extra: Tensor | None = None) -> Encoded:
        """Return embedding and value of outputs `(n, l, h)`, normalised."""
        embedding = F.normalize(steps.mean(1), dim=-1)
        inputs = embedding if extra is None else torch.cat([embedding, extra], dim=-1)
        value = self.regressor((embedding + self.mlp(inputs)) * _HALF)[:, 0]
        return Encoded(steps, embedding, torch.sigmoid(value) if self.is_bounded else value)


class Attention(nn.Module):
    """Look where in the source each step of the target finds what it needs: scaled by nothing, softmax over the source.

    Args:
        hidden: Features h.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.combine = nn.Linear(2 * hidden, hidden, bias=False)

    def forward(self, target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs `(n, m, h)` and weights `(n, m, l)` of steps `(n, m, h)` over a source `(n, l, h)`."""
        weights = torch.softmax(self.query(target) @ source.transpose(1, 2), dim=-1)
        return torch.tanh(self.combine(torch.cat([weights @ source, target], dim=-1))), weights


class Decoder(nn.Module):
    """Write the sequence again, token by token, from the embedding and with attention to the encoder's outputs.

    Args:
        vocabulary: Number of tokens.
        hidden: Features h.
        dropout: Of embeddings.
    """

    def __init__(self, vocabulary: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.rnn = nn.LSTM(hidden, hidden, batch_first=True)
        self.attention = Attention(hidden)
        self.out = nn.Linear(hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, previous: Tensor, encoded: Encoded, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return logits of the next tokens `(n, m, vocabulary)` after the tokens `(n, m)`, and the state `(1, n, h)`.

        Without a state, that of the beginning is the embedding.
        """
        first = encoded.embedding[None].contiguous()
        embedded = self.dropout(self.embedding(previous))
        outputs, state = self.rnn(embedded, state if state is not None else (first, first))
        outputs = (embedded + outputs) * _HALF
        outputs = (outputs + self.attention(outputs, encoded.steps)[0]) * _HALF
        return self.out(outputs), cast(tuple[Tensor, Tensor], state)


class SequenceModel(nn.Module):
    """An encoder, a predictor on its embedding, and a decoder: Luo et al. (2018), [Luo2018nao].

    Args:
        allowed: `(l, vocabulary)` bool: which tokens may stand at each place of a sequence.
        hidden: Features h.
        mlp: Width of the predictor's layer.
        dropout: Of embeddings and predictor.
        extra: Numbers of each architecture that the predictor sees beside the embedding.
        is_bounded: Whether values are in (0, 1), by a sigmoid.
    """

    allowed: Tensor

    def __init__(
        self,
        allowed: Tensor,
        hidden: int = 64,
        mlp: int = 16,
        dropout: float = 0.1,
        extra: int = 0,
        is_bounded: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("allowed", allowed)
        vocabulary = allowed.shape[1]
        self.encoder = Encoder(vocabulary, hidden, mlp, dropout, extra, is_bounded)
        self.decoder = Decoder(vocabulary, hidden, dropout)

    def forward(self, tokens: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return values `(n,)` and logits `(n, l, vocabulary)` of sequences `(n, l)` that the decoder is told.

        Each step is given the true token before it (teacher forcing); tokens that may not stand at a place have minus
        infinity.
        """
        encoded = self.encoder(tokens, extra)
        previous = torch.cat([torch.full_like(tokens[:, :1], START), tokens[:, :-1]], dim=1)
        logits, _ = self.decoder(previous, encoded)
        return encoded.value, logits.masked_fill(~self.allowed, -torch.inf)

    def decode(self, encoded: Encoded) -> Tensor:
        """Return the sequences `(n, l)` that are written from what was encoded, the likeliest token at each place."""
        length = self.allowed.shape[0]
        token = torch.full((len(encoded.embedding), 1), START, dtype=torch.int64, device=self.allowed.device)
        state, written = None, []
        for place in range(length):
            logits, state = self.decoder(token, encoded, state)
            token = logits.masked_fill(~self.allowed[place], -torch.inf).argmax(-1)
            written.append(token)
        return torch.cat(written, dim=1)

    def improved(self, tokens: Tensor, step: float, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return sequences `(n, l)` nearby with a higher predicted value, and that value, `(n,)`.

        The encoder's outputs move along the gradient of the value, H + step dF/dH, are normalised, and decoded. With a
        small step the sequence stays what it is; callers enlarge it (1, 2, 3 ...) until it changes.

        Args:
            tokens: `(n, l)`.
            step: How far; negative to lower the value.
            extra: Further numbers, `(n, e)`.
        """
        with torch.enable_grad():
            steps = self.encoder(tokens, extra).steps.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.encoder.read(steps, extra).value.sum(), steps)
        with torch.no_grad():
            moved = self.encoder.read(F.normalize(steps + step * gradient, dim=-1), extra)
            return self.decode(moved), moved.value


def sequence_loss(value_loss: Tensor, logits: Tensor, tokens: Tensor, trade_off: float = 0.8) -> Tensor:
    """Return trade_off x (loss of the values) + (1 - trade_off) x (negative log-likelihood per token), a scalar.

    Args:
        value_loss: Loss of the predicted values, a scalar.
        logits: `(n, l, vocabulary)`.
        tokens: `(n, l)` true tokens.
        trade_off: Share of the values, in [0, 1].
    """
    written = F.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    return trade_off * value_loss + (1 - trade_off) * written
