"""What comes with naslib, by name: where each optimizer, part, evaluator, space, data set and task is.

Names, and with `Registry.signatures` keywords, are known from here before anything heavy is imported, so that the
command line answers at once. Whoever adds one of ours adds its line here; what a user registers needs none. What kind
of class or function an entry is, is said where that kind is defined: `naslib.optimizers.registry` and its like.
"""

from __future__ import annotations

from typing import Any

from .registry import Registry

OPTIMIZERS: Registry[Any] = Registry(
    "optimizer",
    {
        "asha": "naslib.optimizers.discrete.asha.optimizer:ASHA",
        "bananas": "naslib.optimizers.discrete.bananas.optimizer:Bananas",
        "binary": "naslib.optimizers.oneshot.methods.binary:BinaryOptimizer",
        "binary_masked": "naslib.optimizers.oneshot.methods.binary:BinaryMaskedOptimizer",
        "binary_moving_average": "naslib.optimizers.oneshot.methods.binary:BinaryMovingAverageOptimizer",
        "binary_proxyless_style": "naslib.optimizers.oneshot.methods.binary:BinaryProxylessStyleOptimizer",
        "bohb": "naslib.optimizers.discrete.bohb.optimizer:BOHB",
        "bp": "naslib.optimizers.discrete.bp.optimizer:BasePredictor",
        "darts": "naslib.optimizers.oneshot.methods.darts:DARTSOptimizer",
        "darts_minus": "naslib.optimizers.oneshot.methods.darts_minus:DARTSMinusOptimizer",
        "darts_plus": "naslib.optimizers.oneshot.methods.darts_plus:DARTSPlusOptimizer",
        "darts_pt": "naslib.optimizers.oneshot.methods.darts_pt:DARTSPTOptimizer",
        "drnas": "naslib.optimizers.oneshot.methods.drnas.optimizer:DrNASOptimizer",
        "edge_popup": "naslib.optimizers.oneshot.methods.edge_popup:EdgePopupOptimizer",
        "enas": "naslib.optimizers.oneshot.methods.enas.optimizer:ENASOptimizer",
        "fair_darts": "naslib.optimizers.oneshot.methods.fair_darts:FairDARTSOptimizer",
        "fair_nas": "naslib.optimizers.oneshot.methods.fair_nas:FairNASOptimizer",
        "gdas": "naslib.optimizers.oneshot.methods.gdas:GDASOptimizer",
        "genetic": "naslib.optimizers.discrete.genetic.optimizer:GeneticCNN",
        "genetic_cnn": "naslib.optimizers.discrete.genetic.optimizer:GeneticCNN",
        "gsparsity": "naslib.optimizers.oneshot.methods.gsparsity.optimizer:GSparseOptimizer",
        "hierarchical_evolution": "naslib.optimizers.discrete.hierarchical.optimizer:HierarchicalEvolution",
        "hyperband": "naslib.optimizers.discrete.hyperband.optimizer:Hyperband",
        "lambda_darts": "naslib.optimizers.oneshot.methods.lambda_darts:LambdaDARTSOptimizer",
        "local_search": "naslib.optimizers.discrete.ls.optimizer:LocalSearch",
        "ls": "naslib.optimizers.discrete.ls.optimizer:LocalSearch",
        "mixed_op": "naslib.optimizers.oneshot.methods.mixed_op:MixedOpOptimizer",
        "npenas": "naslib.optimizers.discrete.npenas.optimizer:Npenas",
        "nsga2": "naslib.optimizers.discrete.nsga2.optimizer:NSGA2",
        "ofa": "naslib.optimizers.oneshot.methods.ofa.optimizer:OFAOptimizer",
        "oles": "naslib.optimizers.oneshot.methods.oles:OLESOptimizer",
        "one_shot": "naslib.optimizers.oneshot.methods.oneshot_train:OneShotNASOptimizer",
        "oneshot": "naslib.optimizers.oneshot.methods.oneshot_train:OneShotNASOptimizer",
        "p_darts": "naslib.optimizers.oneshot.methods.p_darts.optimizer:PDARTSOptimizer",
        "pareto_search": "naslib.optimizers.discrete.pareto_search.optimizer:ParetoSearch",
        "pc_darts": "naslib.optimizers.oneshot.methods.pc_darts:PCDARTSOptimizer",
        "ppo": "naslib.optimizers.discrete.ppo.optimizer:PPOController",
        "proxyless": "naslib.optimizers.oneshot.methods.proxylessnas.optimizer:ProxylessNASOptimizer",
        "proxylessnas": "naslib.optimizers.oneshot.methods.proxylessnas.optimizer:ProxylessNASOptimizer",
        "random_nas": "naslib.optimizers.oneshot.methods.rs_ws:RandomNASOptimizer",
        "random_search": "naslib.optimizers.discrete.rs.optimizer:RandomSearch",
        "re": "naslib.optimizers.discrete.re.optimizer:RegularizedEvolution",
        "regularized_evolution": "naslib.optimizers.discrete.re.optimizer:RegularizedEvolution",
        "reinforce": "naslib.optimizers.discrete.reinforce.optimizer:ReinforceController",
        "reinmax": "naslib.optimizers.oneshot.methods.reinmax:ReinMaxOptimizer",
        "robust_darts": "naslib.optimizers.oneshot.methods.robust_darts:RobustDARTSOptimizer",
        "rs": "naslib.optimizers.discrete.rs.optimizer:RandomSearch",
        "rs_ws": "naslib.optimizers.oneshot.methods.rs_ws:RandomNASOptimizer",
        "rsws": "naslib.optimizers.oneshot.methods.rs_ws:RandomNASOptimizer",
        "sdarts_adv": "naslib.optimizers.oneshot.methods.sdarts:SDARTSAdversarialOptimizer",
        "sdarts_rs": "naslib.optimizers.oneshot.methods.sdarts:SDARTSRandomOptimizer",
        "setn": "naslib.optimizers.oneshot.methods.setn:SETNOptimizer",
        "sh": "naslib.optimizers.discrete.sh.optimizer:SuccessiveHalving",
        "snas": "naslib.optimizers.oneshot.methods.snas:SNASOptimizer",
        "spos": "naslib.optimizers.oneshot.methods.spos:SPOSOptimizer",
        "successive_halving": "naslib.optimizers.discrete.sh.optimizer:SuccessiveHalving",
        "tpe": "naslib.optimizers.discrete.tpe.optimizer:TPE",
    },
)

PARTS: Registry[Any] = Registry(
    "part",
    {
        "auxiliary_skip": "naslib.optimizers.oneshot.parts.auxiliary_skip:AuxiliarySkipConnections",
        "drop_path": "naslib.optimizers.oneshot.parts.drop_path:SearchDropPath",
        "early_stopping": "naslib.optimizers.oneshot.parts.early_stopping:EarlyStopping",
        "edge_normalization": "naslib.optimizers.oneshot.parts.edge_normalization:EdgeNormalization",
        "latency": "naslib.optimizers.oneshot.parts.latency:Latency",
        "layer_alignment": "naslib.optimizers.oneshot.parts.layer_alignment:LayerAlignment",
        "operation_early_stopping": "naslib.optimizers.oneshot.parts.operation_early_stopping:OperationEarlyStopping",
        "partial_channels": "naslib.optimizers.oneshot.parts.partial_channels:PartialChannelConnections",
        "perturbation": "naslib.optimizers.oneshot.parts.perturbation:Perturbation",
        "perturbation_selection": "naslib.optimizers.oneshot.parts.perturbation_selection:PerturbationSelection",
        "progressive_shrinking": "naslib.optimizers.oneshot.parts.progressive_shrinking:ProgressiveShrinking",
        "warm_up": "naslib.optimizers.oneshot.parts.warm_up:WarmUp",
        "zero_one_loss": "naslib.optimizers.oneshot.parts.zero_one_loss:ZeroOneLoss",
    },
)

# Ingredients of searches that evaluate trials; under `search.parts` as those of the weight-sharing methods.
TRIAL_PARTS: Registry[Any] = Registry(
    "part of a search of trials",
    {
        "early_termination": "naslib.optimizers.discrete.early_termination.part:EarlyTermination",
    },
)

# By search space; `space:kind` where a table answers for something else than the accuracy of the space's networks.
BENCHMARKS: Registry[Any] = Registry(
    "benchmark",
    {
        "accel_nasbench": "naslib.benchmarks.accel_nasbench:AccelNASBenchTable",
        "autoformer_tiny": "naslib.benchmarks.autoprox:AutoProxTable",
        "fbnet:latency": "naslib.benchmarks.mobile_figures:FBNetLatencyTable",
        "gpt_l": "naslib.benchmarks.hwgpt:HWGPTBenchL",
        "gpt_m": "naslib.benchmarks.hwgpt:HWGPTBenchM",
        "gpt_s": "naslib.benchmarks.hwgpt:HWGPTBenchS",
        "hat": "naslib.benchmarks.hat:HatLatencyTable",
        "nasbench101": "naslib.benchmarks.nasbench101:NasBench101Table",
        "nasbench1shot1": "naslib.benchmarks.nasbench101:NasBench101Table",
        "nasbench201": "naslib.benchmarks.nasbench201:NasBench201Table",
        "nasbench201:energy": "naslib.benchmarks.nasbench201_figures:HWNASBench201Table",
        "nasbench201:hardware": "naslib.benchmarks.nasbench201_figures:HWNASBench201Table",
        "nasbench201:latency": "naslib.benchmarks.nasbench201_figures:NasBench201LatencyTable",
        "nasbench201:proxies": "naslib.benchmarks.nasbench201_figures:NasBench201ProxyTable",
        "nasbench201:proxies_freerea": "naslib.benchmarks.nasbench201_figures:FreeREAProxyTable",
        "nasbench201:proxies_naslib": "naslib.benchmarks.nasbench201_figures:NASLibProxyTable201",
        "nasbench201:robustness": "naslib.benchmarks.nasbench201_figures:NasBench201RobustnessTable",
        "nasbench301": "naslib.benchmarks.nasbench301:NasBench301Surrogate",
        "nasbench301:curves": "naslib.benchmarks.darts_trained:DartsCurvesTable",
        "nasbench301:latency": "naslib.benchmarks.darts_trained:OnceDartsTable",
        "nasbench301:proxies": "naslib.benchmarks.darts_trained:NASLibProxyTable301",
        "nasbench301:swap": "naslib.benchmarks.darts_trained:SwapDartsTable",
        "nasbench301:trained": "naslib.benchmarks.nasbench301_trained:NasBench301TrainedTable",
        "nasbench_asr": "naslib.benchmarks.nasbench_asr:NasBenchASRTable",
        "nasbench_macro": "naslib.benchmarks.nasbench_macro:NasBenchMacroTable",
        "nasbench_nlp": "naslib.benchmarks.nasbench_nlp:NasBenchNLPTable",
        "nats_size": "naslib.benchmarks.nats_size:NATSSizeTable",
        "nb101": "naslib.benchmarks.nasbench101:NasBench101Table",
        "nb201": "naslib.benchmarks.nasbench201:NasBench201Table",
        "nb301": "naslib.benchmarks.nasbench301:NasBench301Surrogate",
        "nb_macro": "naslib.benchmarks.nasbench_macro:NasBenchMacroTable",
        "nb_nlp": "naslib.benchmarks.nasbench_nlp:NasBenchNLPTable",
        "ofa_mobilenetv3": "naslib.benchmarks.mobile_figures:OFAMobileNetV3Table",
        "ofa_mobilenetv3:latency": "naslib.benchmarks.mobile_figures:OFALatencyTable",
        "spikenas": "naslib.benchmarks.spikenas:SpikeNASTable",
        "tanglenas_cell": "naslib.benchmarks.tanglenas:TangleNASCellTable",
        "tanglenas_macro": "naslib.benchmarks.tanglenas:TangleNASMacroTable",
        "transbench101_macro": "naslib.benchmarks.transbench101:TransBench101MacroTable",
        "transbench101_macro:proxies_naslib": "naslib.benchmarks.transbench101:NASLibMacroProxyTable",
        "transbench101_micro": "naslib.benchmarks.transbench101:TransBench101MicroTable",
        "transbench101_micro:proxies": "naslib.benchmarks.transbench101:TransBench101ProxyTable",
        "transbench101_micro:proxies_naslib": "naslib.benchmarks.transbench101:NASLibMicroProxyTable",
    },
)

# Predictors of the value of an architecture, under NASLib's names.
PREDICTORS: Registry[Any] = Registry(
    "predictor",
    {
        "bananas": "naslib.predictors.mlp:BananasPredictor",
        "bayes_lin_reg": "naslib.predictors.linear:BayesianLinearRegression",
        "bohamiann": "naslib.predictors.bohamiann:BOHAMIANN",
        "bonas": "naslib.predictors.neural.bonas:BonasPredictor",
        "dngo": "naslib.predictors.dngo:DNGOPredictor",
        "ensemble": "naslib.predictors.ensemble:Ensemble",
        "et": "naslib.predictors.forests:ExtraTreesPredictor",
        "gcn": "naslib.predictors.neural.gcn:GCNPredictor",
        "gp": "naslib.predictors.gaussian:GPPredictor",
        "gpwl": "naslib.predictors.weisfeiler_lehman:GPWLPredictor",
        "graf": "naslib.predictors.forests:GrafPredictor",
        "grid_gp": "naslib.predictors.grid_gp:GridGP",
        "lce": "naslib.predictors.curves.lce:LCEPredictor",
        "lce_m": "naslib.predictors.curves.lce:LCEMPredictor",
        "lcsvr": "naslib.predictors.curves.lcsvr:SVR_Estimator",
        "lgb": "naslib.predictors.boosting:LGBoost",
        "mlp": "naslib.predictors.mlp:MLPPredictor",
        "nao": "naslib.predictors.neural.seminas:nao",
        "ngb": "naslib.predictors.boosting:NGBoost",
        "omni": "naslib.predictors.omni.ngb:OmniNGBPredictor",
        "omni_ngb": "naslib.predictors.omni.ngb:OmniNGBPredictor",
        "omni_seminas": "naslib.predictors.omni.seminas:omni_seminas",
        "oneshot": "naslib.predictors.oneshot:OneShotPredictor",
        "rf": "naslib.predictors.forests:RandomForestPredictor",
        "seminas": "naslib.predictors.neural.seminas:seminas",
        "sotl": "naslib.predictors.curves.soloss:sotl",
        "sotle": "naslib.predictors.curves.soloss:sotle",
        "sparse_gp": "naslib.predictors.gaussian:SparseGPPredictor",
        "valacc": "naslib.predictors.curves.early_stopping:valacc",
        "valloss": "naslib.predictors.curves.early_stopping:valloss",
        "var_sparse_gp": "naslib.predictors.gaussian:VarSparseGPPredictor",
        "xgb": "naslib.predictors.boosting:XGBoost",
    },
)

# Functions of a network and one batch.
PROXIES: Registry[Any] = Registry(
    "zero-cost proxy",
    {
        "az_nas": "naslib.predictors.proxies.az_nas:az_nas",
        "epe_nas": "naslib.predictors.proxies.jacobians:epe_nas",
        "fisher": "naslib.predictors.proxies.gradients:fisher",
        "flops": "naslib.predictors.proxies.size:flops",
        "grad_norm": "naslib.predictors.proxies.gradients:grad_norm",
        "grasp": "naslib.predictors.proxies.gradients:grasp",
        "jacov": "naslib.predictors.proxies.jacobians:jacov",
        "l2_norm": "naslib.predictors.proxies.size:l2_norm",
        "linear_regions": "naslib.predictors.proxies.regions:linear_regions",
        "logsynflow": "naslib.predictors.proxies.flow:logsynflow",
        "ntk": "naslib.predictors.proxies.tangents:ntk",
        "nwot": "naslib.predictors.proxies.regions:nwot",
        "params": "naslib.predictors.proxies.size:params",
        "plain": "naslib.predictors.proxies.gradients:plain",
        "snip": "naslib.predictors.proxies.gradients:snip",
        "swap": "naslib.predictors.proxies.regions:swap",
        "synflow": "naslib.predictors.proxies.flow:synflow",
        "vkdnw": "naslib.predictors.proxies.tangents:vkdnw",
        "zen": "naslib.predictors.proxies.zen:zen",
        "zico": "naslib.predictors.proxies.gradients:zico",
    },
)

# The keyword-only parameters of an evaluator are the keys of `search.evaluator_args`.
EVALUATORS: Registry[Any] = Registry(
    "evaluator",
    {
        "predictor": "naslib.evaluators.predictor:PredictorEvaluator",
        "proxy": "naslib.evaluators.proxy:ProxyEvaluator",
        "supernet": "naslib.evaluators.supernet:SupernetEvaluator",
        "table": "naslib.evaluators.table:TableEvaluator",
        "train": "naslib.evaluators.train:TrainEvaluator",
    },
)

SEARCH_SPACES: Registry[Any] = Registry(
    "search space",
    {
        "autoformer": "naslib.search_spaces.autoformer.graph:AutoFormerSearchSpace",
        "darts": "naslib.search_spaces.nasbench301.graph:NasBench301SearchSpace",
        "darts_cell": "naslib.search_spaces.nni_zoo.darts_space:DartsCellSearchSpace",
        "darts_rnn": "naslib.search_spaces.darts_rnn.graph:DartsRNNSearchSpace",
        "enas_macro": "naslib.search_spaces.nni_zoo.macro_space:ENASMacroSearchSpace",
        "enas_micro": "naslib.search_spaces.nni_zoo.micro_space:ENASMicroSearchSpace",
        "fbnet": "naslib.search_spaces.fbnet.graph:FBNetSearchSpace",
        "gpt": "naslib.search_spaces.gpt.graph:GPTSearchSpace",
        "hierarchical": "naslib.search_spaces.hierarchical.graph:HierarchicalSearchSpace",
        "mnasnet": "naslib.search_spaces.mnasnet.graph:MnasNetSearchSpace",
        "nasbench101": "naslib.search_spaces.nasbench101.graph:NasBench101SearchSpace",
        "nasbench1shot1": "naslib.search_spaces.nasbench101.one_shot:NasBench1Shot1SearchSpace",
        "nasbench201": "naslib.search_spaces.nasbench201.graph:NasBench201SearchSpace",
        "nasbench301": "naslib.search_spaces.nasbench301.graph:NasBench301SearchSpace",
        "nasbench_asr": "naslib.search_spaces.nasbench_asr.graph:NasBenchASRSearchSpace",
        "nasbench_macro": "naslib.search_spaces.nasbench_macro.graph:NasBenchMacroSearchSpace",
        "nasbench_nlp": "naslib.search_spaces.nasbench_nlp.graph:NasBenchNLPSearchSpace",
        "nasnet": "naslib.search_spaces.nasnet.graph:NASNetSearchSpace",
        "nats_size": "naslib.search_spaces.nats_size.graph:NATSBenchSizeSearchSpace",
        "ofa_mobilenetv3": "naslib.search_spaces.ofa_mobilenetv3.graph:OFAMobileNetV3SearchSpace",
        "pnas": "naslib.search_spaces.nasnet.graph:PNASSearchSpace",
        "proxylessnas": "naslib.search_spaces.proxylessnas.graph:ProxylessNASSearchSpace",
        "simple_cell": "naslib.search_spaces.simple_cell.graph:SimpleCellSearchSpace",
        "simple_sequence": "naslib.search_spaces.simple_sequence.graph:SimpleSequenceSearchSpace",
        "tanglenas_cell": "naslib.search_spaces.tanglenas_cell.graph:TangleNASCellSearchSpace",
        "tanglenas_macro": "naslib.search_spaces.tanglenas_macro.graph:TangleNASMacroSearchSpace",
        "transbench101_macro": "naslib.search_spaces.transbench101.macro:TransBench101SearchSpaceMacro",
        "transbench101_micro": "naslib.search_spaces.transbench101.micro:TransBench101SearchSpaceMicro",
    },
)

# Operations of cell spaces: (C_in, C_out, stride, search) -> module. A genotype writes these names.
OPERATIONS: Registry[Any] = Registry(
    "operation",
    {
        "avg_pool_3x3": "naslib.search_spaces.core.ops_named:avg_pool_3x3",
        "conv_1x1": "naslib.search_spaces.core.ops_named:conv_1x1",
        "conv_3x1_1x3": "naslib.search_spaces.core.ops_named:conv_3x1_1x3",
        "conv_3x3": "naslib.search_spaces.core.ops_named:conv_3x3",
        "conv_7x1_1x7": "naslib.search_spaces.core.ops_named:conv_7x1_1x7",
        "dil_conv_3x3": "naslib.search_spaces.core.ops_named:dil_conv_3x3",
        "dil_conv_5x5": "naslib.search_spaces.core.ops_named:dil_conv_5x5",
        "max_pool_3x3": "naslib.search_spaces.core.ops_named:max_pool_3x3",
        "max_pool_5x5": "naslib.search_spaces.core.ops_named:max_pool_5x5",
        "max_pool_7x7": "naslib.search_spaces.core.ops_named:max_pool_7x7",
        "noise": "naslib.search_spaces.core.ops_named:noise",
        "none": "naslib.search_spaces.core.ops_named:none",
        "sep_conv_3x3": "naslib.search_spaces.core.ops_named:sep_conv_3x3",
        "sep_conv_5x5": "naslib.search_spaces.core.ops_named:sep_conv_5x5",
        "sep_conv_7x7": "naslib.search_spaces.core.ops_named:sep_conv_7x7",
        "skip_connect": "naslib.search_spaces.core.ops_named:skip_connect",
    },
)

# Functions of the numbers of classes and input channels that return a network somebody has published.
PUBLISHED: Registry[Any] = Registry(
    "published network",
    {
        "autoformer-b": "naslib.search_spaces.autoformer.published:autoformer_b",
        "autoformer-s": "naslib.search_spaces.autoformer.published:autoformer_s",
        "autoformer-t": "naslib.search_spaces.autoformer.published:autoformer_t",
        "efficientnet-b0": "naslib.search_spaces.mnasnet.published:efficientnet_b0",
        "fbnet-c": "naslib.search_spaces.fbnet.published:fbnet_c",
        "mnasnet-a1": "naslib.search_spaces.mnasnet.published:mnasnet_a1",
        "mnasnet-b1": "naslib.search_spaces.mnasnet.published:mnasnet_b1",
        "mobilenetv2": "naslib.search_spaces.proxylessnas.published:mobilenetv2",
        "mobilenetv3-large": "naslib.search_spaces.mnasnet.published:mobilenetv3_large",
        "nasnet-a-cifar": "naslib.search_spaces.nasnet.network:nasnet_a_cifar",
        "nasnet-a-large": "naslib.search_spaces.nasnet.network:nasnet_a_large",
        "nasnet-a-mobile": "naslib.search_spaces.nasnet.network:nasnet_a_mobile",
        "pnasnet-5-cifar": "naslib.search_spaces.nasnet.network:pnasnet_5_cifar",
        "pnasnet-5-large": "naslib.search_spaces.nasnet.network:pnasnet_5_large",
        "mobilenetv3-small": "naslib.search_spaces.mnasnet.published:mobilenetv3_small",
        "proxylessnas-cpu": "naslib.search_spaces.proxylessnas.published:proxylessnas_cpu",
        "proxylessnas-gpu": "naslib.search_spaces.proxylessnas.published:proxylessnas_gpu",
        "proxylessnas-mobile": "naslib.search_spaces.proxylessnas.published:proxylessnas_mobile",
        "proxylessnas-mobile-14": "naslib.search_spaces.proxylessnas.published:proxylessnas_mobile_14",
    },
)

# Task and kind of our data sets that are no classification of images, before their files are read.
DATASET_TASKS = {
    "digits_angle": ("regression", "image"),
    "digits_canvas": ("segmentation", "image"),
    "fsdd": ("sequence_classification", "sequence"),
    "spoken_digits": ("sequence_classification", "sequence"),
    "wikitext-2": ("language_modelling", "tokens"),
    "wikitext2": ("language_modelling", "tokens"),
}

# A loader takes (data_dir: Path | None, seed: int, **its own keywords) and returns `ImageData`.
DATASETS: Registry[Any] = Registry(
    "data set",
    {
        "cifar-10": "naslib.data.sets.cifar:load_cifar10",
        "cifar-100": "naslib.data.sets.cifar:load_cifar100",
        "cifar10": "naslib.data.sets.cifar:load_cifar10",
        "cifar100": "naslib.data.sets.cifar:load_cifar100",
        "digits": "naslib.data.sets.digits:load_digits",
        "digits_angle": "naslib.data.sets.digits:load_digits_angle",
        "digits_canvas": "naslib.data.sets.digits:load_digits_canvas",
        "fsdd": "naslib.data.sets.spoken_digits:load_spoken_digits",
        "fashion-mnist": "naslib.data.sets.mnist:load_fashion_mnist",
        "fashion_mnist": "naslib.data.sets.mnist:load_fashion_mnist",
        "fashionmnist": "naslib.data.sets.mnist:load_fashion_mnist",
        "image_folder": "naslib.data.sets.imagefolder:load_imagefolder",
        "imagefolder": "naslib.data.sets.imagefolder:load_imagefolder",
        "imagenet16": "naslib.data.sets.imagenet16:load_imagenet16",
        "imagenet16-120": "naslib.data.sets.imagenet16:load_imagenet16",
        "imagenet16_120": "naslib.data.sets.imagenet16:load_imagenet16",
        "mnist": "naslib.data.sets.mnist:load_mnist",
        "npz": "naslib.data.sets.npz:load_npz",
        "spoken_digits": "naslib.data.sets.spoken_digits:load_spoken_digits",
        "svhn": "naslib.data.sets.svhn:load_svhn",
        "wikitext-2": "naslib.data.sets.wikitext:load_wikitext2",
        "wikitext2": "naslib.data.sets.wikitext:load_wikitext2",
    },
)

TASKS: Registry[Any] = Registry(
    "task",
    {
        "classification": "naslib.tasks.classification:Classification",
        "language_modeling": "naslib.tasks.sequence:LanguageModelling",
        "language_modelling": "naslib.tasks.sequence:LanguageModelling",
        "regression": "naslib.tasks.regression:Regression",
        "segmentation": "naslib.tasks.segmentation:Segmentation",
        "sequence_classification": "naslib.tasks.sequence:SequenceClassification",
    },
)
