"""Read and set the states of random generators of torch, numpy and Python, as what a checkpoint can hold."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def is_generator(item: Any) -> bool:
    """Return whether `item` is a generator whose state can be read and set."""
    kinds = (torch.Generator, np.random.Generator, np.random.BitGenerator, np.random.RandomState, random.Random)
    return isinstance(item, kinds) and not isinstance(item, random.SystemRandom)


def state_of(generator: Any) -> Any:
    """Return a generator's state as a tensor (torch) or as JSON (numpy and Python, whose numbers have 128 bits)."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return json.dumps(["python", generator.getstate()])
    if isinstance(generator, np.random.RandomState):
        return json.dumps(["legacy", generator.get_state(legacy=False)], default=_array_to_json)
    bits = generator.bit_generator if isinstance(generator, np.random.Generator) else generator
    return json.dumps(["numpy", bits.state], default=_array_to_json)


def set_state(generator: Any, state: Any) -> bool:
    """Put a generator into a state; return whether it is of the kind that the state is of."""
    if isinstance(generator, torch.Generator) or isinstance(state, Tensor):
        if not (isinstance(generator, torch.Generator) and isinstance(state, Tensor)):
            return False
        generator.set_state(state.cpu())
        return True
    kind, content = json.loads(state, object_hook=_array_from_json)
    if isinstance(generator, random.Random):
        if kind == "python":
            version, numbers, gauss = content
            generator.setstate((version, tuple(numbers), gauss))
        return bool(kind == "python")
    legacy = isinstance(generator, np.random.RandomState)
    bits = generator.bit_generator if isinstance(generator, np.random.Generator) else generator
    name = generator.get_state(legacy=False)["bit_generator"] if legacy else bits.state["bit_generator"]
    if kind != ("legacy" if legacy else "numpy") or content["bit_generator"] != name:
        return False
    if legacy:
        generator.set_state(content)
    else:
        bits.state = content
    return True


def _array_to_json(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return {"array": value.tolist(), "dtype": str(value.dtype)}


def _array_from_json(value: dict[str, Any]) -> Any:
    return np.array(value["array"], dtype=value["dtype"]) if set(value) == {"array", "dtype"} else value
