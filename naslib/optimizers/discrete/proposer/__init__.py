"""Searches whose architectures a callable of one's own proposes."""

from .optimizer import ProposerSearch as ProposerSearch
from .view import Proposer as Proposer
from .view import Refusal as Refusal
from .view import Request as Request
from .view import Seen as Seen
