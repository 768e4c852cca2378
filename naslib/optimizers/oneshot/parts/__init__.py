"""Parts: ingredients that any optimizer with architecture gradients can be given, by class or from YAML."""

from .base import PARTS as PARTS
from .base import Part as Part
from .base import build_parts as build_parts
from .latency import Latency as Latency
from .warm_up import WarmUp as WarmUp
