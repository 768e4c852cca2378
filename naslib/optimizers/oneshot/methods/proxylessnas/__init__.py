"""ProxylessNAS."""

from .optimizer import ProxylessNASOptimizer as ProxylessNASOptimizer
from .sampler import PathSampler as PathSampler
