"""A controller of several tasks, and its transfer to a new one."""

from .optimizer import TransferController as TransferController
