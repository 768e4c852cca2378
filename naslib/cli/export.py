"""`naslib export`: the trained network of a run as a folder of files that need no naslib."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from naslib.config.parser import CommandParser

_EPILOG = """\
examples:
  naslib export RUN                                  all files to RUN/export, what cannot be written is said
  naslib export RUN --out DIR --formats onnx,pt2     these two, with preprocessing and card
  naslib export RUN --quantize int8                  and the network in 8 bits, with score, size and time beside

formats: network.py (PyTorch source), safetensors, onnx (needs pip install 'naslib[onnx]'), pt2 (torch.export)
exit status: 1 where a format that was asked for could not be written, 2 for bad input (nothing is written then)
"""


def main(words: Sequence[str]) -> int:
    """Export a network, say what was written, and return the exit status.

    Raises:
        NASLibError: If the run has no network, or nothing can be written.
    """
    parser = CommandParser(
        prog="naslib export", description="Write the trained network of a run as files.", epilog=_EPILOG
    )
    parser.add_argument("run", metavar="RUN", help="the run folder")
    parser.add_argument("--out", metavar="DIR", help="the folder to write; default: RUN/export")
    parser.add_argument("--formats", metavar="A,B", help="some of network.py,safetensors,onnx,pt2; default: all")
    parser.add_argument("--quantize", metavar="int8", help="also write the network in 8 bits")
    parser.add_argument("--overwrite", action="store_true", help="move an exported network that is there aside")
    given = parser.parse_args(list(words))

    from naslib.export.formats import check_quantization, chosen_formats

    chosen_formats(given.formats)  # before seconds of imports
    check_quantization(given.quantize)

    from naslib.export.bundle import export_network
    from naslib.export.scoring import show_bytes

    bundle = export_network(
        given.run, given.out, formats=given.formats, quantize=given.quantize, overwrite=given.overwrite
    )
    sys.stdout.write(f"{bundle.folder}\n")
    files = sorted(path for path in bundle.folder.iterdir())
    width = max(len(path.name) for path in files)
    for path in files:
        note = bundle.written.get(path.name, "")
        line = f"  {path.name:{width}}  {show_bytes(path.stat().st_size):>9}  {note}"
        sys.stdout.write(line.rstrip() + "\n")
    for name, reason in bundle.left_out.items():
        sys.stdout.write(f"  {name} is not written: {reason}\n")
    if bundle.table:
        sys.stdout.write(f"\n{bundle.table}\n")
    return 1 if bundle.failed else 0
