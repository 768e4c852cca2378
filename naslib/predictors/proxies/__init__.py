"""Zero-cost proxies: numbers of an untrained network and one batch that order architectures."""

from naslib.registry.catalogue import PROXIES as PROXIES

from .compute import compute_parts as compute_parts
from .compute import compute_proxy as compute_proxy
from .compute import maximizes as maximizes
from .scoring import ProxyScorer as ProxyScorer
from .scoring import first_batches as first_batches
from .subject import Subject as Subject
from .votes import log_rank_sum as log_rank_sum
from .votes import placed as placed
