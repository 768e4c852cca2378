"""Optimizers that search on codes, by asking a benchmark."""

from .asha import ASHA as ASHA
from .az_nas import AZNASSearch as AZNASSearch
from .bananas import Bananas as Bananas
from .bohb import BOHB as BOHB
from .bonas import BONAS as BONAS
from .bp import BasePredictor as BasePredictor
from .eas import EAS as EAS
from .genetic import GeneticCNN as GeneticCNN
from .hierarchical import HierarchicalEvolution as HierarchicalEvolution
from .hyperband import Hyperband as Hyperband
from .ls import LocalSearch as LocalSearch
from .nao import NAO as NAO
from .nas_rl import NASRL as NASRL
from .neural_predictor import NeuralPredictorSearch as NeuralPredictorSearch
from .npenas import Npenas as Npenas
from .nsga2 import NSGA2 as NSGA2
from .pareto_search import ParetoSearch as ParetoSearch
from .ppo import PPOController as PPOController
from .proposer import ProposerSearch as ProposerSearch
from .q_learning import QLearning as QLearning
from .re import RegularizedEvolution as RegularizedEvolution
from .reinforce import ReinforceController as ReinforceController
from .rs import RandomSearch as RandomSearch
from .seminas import SemiNAS as SemiNAS
from .sh import SuccessiveHalving as SuccessiveHalving
from .tpe import TPE as TPE
