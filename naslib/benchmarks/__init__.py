from naslib.registry.catalogue import BENCHMARKS as BENCHMARKS

from .accel_nasbench import AccelNASBenchTable as AccelNASBenchTable
from .autoprox import AutoProxTable as AutoProxTable
from .base import Benchmark as Benchmark
from .hat import HatLatencyTable as HatLatencyTable
from .hat import HatTransformer as HatTransformer
from .hwgpt import HWGPTBenchL as HWGPTBenchL
from .hwgpt import HWGPTBenchM as HWGPTBenchM
from .hwgpt import HWGPTBenchS as HWGPTBenchS
from .lookup import get_dataset_api as get_dataset_api
from .nasbench101 import NasBench101Table as NasBench101Table
from .nasbench201 import NasBench201Table as NasBench201Table
from .nasbench_macro import NasBenchMacroTable as NasBenchMacroTable
from .nasbench_nlp import NasBenchNLPTable as NasBenchNLPTable
from .tanglenas import TangleNASCellTable as TangleNASCellTable
from .tanglenas import TangleNASMacroTable as TangleNASMacroTable
from .trained import TrainedTable as TrainedTable
