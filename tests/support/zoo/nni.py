"""NNI's zoo: DartsCell, and the micro and macro spaces of ENAS."""

from __future__ import annotations

from math import comb, prod

from naslib.search_spaces.nni_zoo import DartsCellSearchSpace, ENASMacroSearchSpace, ENASMicroSearchSpace

from . import Entry

# Cells of two nodes: two inputs of 2, of 3, and one of seven operations on each
_DARTS = prod(comb(earlier, 2) * 7**2 for earlier in (2, 3))
# Layers of two nodes: each of two branches has one input of 2, of 3, and one of five operations
_MICRO = prod((earlier * 5) ** 2 for earlier in (2, 3))

ENTRIES = {
    "darts_cell": Entry(
        lambda **sizes: DartsCellSearchSpace(channels=4, cells=3, nodes=2, **sizes), size=_DARTS**2
    ),
    "enas_micro": Entry(
        lambda **sizes: ENASMicroSearchSpace(channels=4, layers=2, nodes=2, **sizes),
        size=_MICRO**2,
        refused={"gsparsity": "combinations at nodes"},
    ),
    # layer i has six operations, and i skips
    "enas_macro": Entry(
        lambda **sizes: ENASMacroSearchSpace(channels=4, layers=4, **sizes),
        size=6**4 * 2**6,
        refused={"lambda_darts": "needs a cell that the network has at least twice"},
    ),
}  # fmt: skip
