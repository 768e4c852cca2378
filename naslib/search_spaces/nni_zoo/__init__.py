"""NNI's search-space zoo: modules for anyone's network, and ready spaces made of them."""

from __future__ import annotations

from .darts_cell import DartsCell as DartsCell
from .darts_ops import DilConv as DilConv
from .darts_ops import FactorizedReduce as FactorizedReduce
from .darts_ops import PoolBN as PoolBN
from .darts_ops import SepConv as SepConv
from .darts_space import DartsCellSearchSpace as DartsCellSearchSpace
from .enas_macro import ENASMacroLayer as ENASMacroLayer
from .enas_micro import ENASMicroLayer as ENASMicroLayer
from .enas_ops import Calibration as Calibration
from .enas_ops import ConvBranch as ConvBranch
from .enas_ops import Pool as Pool
from .enas_ops import PoolBranch as PoolBranch
from .enas_ops import SepConvBN as SepConvBN
from .macro_space import ENASMacroGeneralModel as ENASMacroGeneralModel
from .macro_space import ENASMacroSearchSpace as ENASMacroSearchSpace
from .micro_space import ENASMicroSearchSpace as ENASMicroSearchSpace
