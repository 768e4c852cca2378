"""Loading: how each file is read in three lines."""

from __future__ import annotations

from pathlib import Path

from .subject import ExportSubject

_SOURCE = """\
from safetensors.torch import load_file
from network import Network
network = Network().eval(); network.load_state_dict(load_file("weights.safetensors"))
"""
_ONNX = """\
import onnxruntime
session = onnxruntime.InferenceSession("network.onnx")
{output} = session.run(None, {{"{input}": {input}}})[0]  # {input}: a numpy array, as `preprocess` below returns it
"""
_PT2 = """\
import torch
network = torch.export.load("network.pt2").module()
{output} = network(torch.from_numpy({input}))  # {input}: a numpy array, as `preprocess` below returns it
"""


def loading_section(folder: Path, subject: ExportSubject) -> str:
    """Return the section of the card on how the files of a folder are read."""
    names = {"input": subject.input_name, "output": subject.output_name}
    found = ["## How to load it"]
    if (folder / "network.py").is_file() and (folder / "weights.safetensors").is_file():
        found.append(_block("As PyTorch source (`network.py` needs nothing but torch):", _SOURCE))
    if (folder / "network.onnx").is_file():
        found.append(_block("With onnxruntime:", _ONNX.format(**names)))
    if (folder / "network.pt2").is_file():
        found.append(_block("With torch alone:", _PT2.format(**names)))
    if len(found) == 1:
        found.append("`weights.safetensors` holds the weights by name: `safetensors.torch.load_file` reads it.")
    return "\n\n".join(found)


def _block(title: str, code: str) -> str:
    return f"{title}\n\n```python\n{code}```"
