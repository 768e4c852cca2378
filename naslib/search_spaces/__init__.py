"""Search spaces."""

from __future__ import annotations

from .autoformer.graph import AutoFormerSearchSpace as AutoFormerSearchSpace
from .darts_rnn.graph import DartsRNNSearchSpace as DartsRNNSearchSpace
from .eas_cnn.graph import EASConvNetSearchSpace as EASConvNetSearchSpace
from .fbnet.graph import FBNetSearchSpace as FBNetSearchSpace
from .gpt.graph import GPTSearchSpace as GPTSearchSpace
from .hierarchical.graph import HierarchicalSearchSpace as HierarchicalSearchSpace
from .memory_bank.graph import MemoryBankSearchSpace as MemoryBankSearchSpace
from .mnasnet.graph import MnasNetSearchSpace as MnasNetSearchSpace
from .nas_rl_cnn.graph import NASRLCNNSearchSpace as NASRLCNNSearchSpace
from .nas_rl_rnn.graph import NASRLRNNSearchSpace as NASRLRNNSearchSpace
from .nasbench101.graph import NasBench101SearchSpace as NasBench101SearchSpace
from .nasbench101.one_shot import NasBench1Shot1SearchSpace as NasBench1Shot1SearchSpace
from .nasbench201.graph import NasBench201SearchSpace as NasBench201SearchSpace
from .nasbench301.graph import NasBench301SearchSpace as NasBench301SearchSpace
from .nasbench_asr.graph import NasBenchASRSearchSpace as NasBenchASRSearchSpace
from .nasbench_macro.graph import NasBenchMacroSearchSpace as NasBenchMacroSearchSpace
from .nasbench_nlp.graph import NasBenchNLPSearchSpace as NasBenchNLPSearchSpace
from .nasnet.graph import NASNetSearchSpace as NASNetSearchSpace
from .nasnet.graph import PNASSearchSpace as PNASSearchSpace
from .nats_size.graph import NATSBenchSizeSearchSpace as NATSBenchSizeSearchSpace
from .nni_zoo.darts_space import DartsCellSearchSpace as DartsCellSearchSpace
from .nni_zoo.macro_space import ENASMacroSearchSpace as ENASMacroSearchSpace
from .nni_zoo.micro_space import ENASMicroSearchSpace as ENASMicroSearchSpace
from .ofa_mobilenetv3.graph import OFAMobileNetV3SearchSpace as OFAMobileNetV3SearchSpace
from .own_module.graph import ModuleSearchSpace as ModuleSearchSpace
from .proxylessnas.graph import ProxylessNASSearchSpace as ProxylessNASSearchSpace
from .published import published as published
from .registry import SEARCH_SPACES as SEARCH_SPACES
from .registry import get_search_space as get_search_space
from .resnet_dag.graph import ResNetDagSearchSpace as ResNetDagSearchSpace
from .simple_cell.graph import SimpleCellSearchSpace as SimpleCellSearchSpace
from .simple_sequence.graph import SimpleSequenceSearchSpace as SimpleSequenceSearchSpace
from .tanglenas_cell.graph import TangleNASCellSearchSpace as TangleNASCellSearchSpace
from .tanglenas_macro.graph import TangleNASMacroSearchSpace as TangleNASMacroSearchSpace
from .transbench101.macro import TransBench101SearchSpaceMacro as TransBench101SearchSpaceMacro
from .transbench101.micro import TransBench101SearchSpaceMicro as TransBench101SearchSpaceMicro
