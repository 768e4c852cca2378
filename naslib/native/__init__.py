"""Optional fused kernels for the CPU, compiled on first use; each has a PyTorch path that it equals."""

from __future__ import annotations

from .availability import available as available
from .build import NativeKernelError as NativeKernelError
from .depthwise import relu_depthwise as relu_depthwise
from .mixed_node import Branch as Branch
from .mixed_node import Stage as Stage
from .mixed_node import mixed_node as mixed_node
from .mixed_node import sep_branch as sep_branch
from .shapes import accepts as accepts
from .weighted_sum import weighted_sum as weighted_sum
