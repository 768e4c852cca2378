from .base import Benchmark as Benchmark
from .lookup import BENCHMARKS as BENCHMARKS
from .lookup import get_dataset_api as get_dataset_api
from .nasbench101 import NasBench101Table as NasBench101Table
from .nasbench201 import NasBench201Table as NasBench201Table
from .tanglenas import TangleNASCellTable as TangleNASCellTable
from .tanglenas import TangleNASMacroTable as TangleNASMacroTable
