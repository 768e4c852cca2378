"""Proxies that need no gradients: the number of parameters, multiply-accumulates, the norms of weights."""

from __future__ import annotations

from naslib.search_spaces.core.flops import count_macs

from .subject import Subject


def params(subject: Subject) -> float:
    """Return the number of parameters in millions, frozen ones included."""
    return sum(parameter.numel() for parameter in subject.network.parameters()) / 1e6


def flops(subject: Subject) -> float:
    """Return the multiply-accumulates of one input in millions: convolutions and linear layers, as `count_macs`.

    NASLib's count, that of the published tables, has batch norm and
    pooling in it as well ([Krishnakumar2022suitezero] and code).
    """
    return count_macs(subject.network, subject.inputs().shape[1:])


def l2_norm(subject: Subject) -> float:
    """Return the sum over the weights of their Euclidean norms, `sum_l ||w_l||_2` ([Abdelfattah2021zerocost], code)."""
    return sum(float(weight.detach().double().norm()) for weight in subject.weights().values())
