"""Optimizers that search on codes, by asking a benchmark."""

from .asha import ASHA as ASHA
from .bananas import Bananas as Bananas
from .bohb import BOHB as BOHB
from .bp import BasePredictor as BasePredictor
from .genetic import GeneticCNN as GeneticCNN
from .hierarchical import HierarchicalEvolution as HierarchicalEvolution
from .hyperband import Hyperband as Hyperband
from .ls import LocalSearch as LocalSearch
from .npenas import Npenas as Npenas
from .nsga2 import NSGA2 as NSGA2
from .pareto_search import ParetoSearch as ParetoSearch
from .pnas import PNAS as PNAS
from .ppo import PPOController as PPOController
from .q_learning import QLearning as QLearning
from .re import RegularizedEvolution as RegularizedEvolution
from .reinforce import ReinforceController as ReinforceController
from .rs import RandomSearch as RandomSearch
from .sh import SuccessiveHalving as SuccessiveHalving
from .tpe import TPE as TPE
