"""Evaluators: what gives the trials of a black-box search their values, and the executors that run them."""

from naslib.registry.catalogue import EVALUATORS as EVALUATORS

from .base import Evaluator as Evaluator
from .executors import Executor as Executor
from .executors import SerialExecutor as SerialExecutor
from .inheritance import kept_network as kept_network
from .mepa import MepaEvaluator as MepaEvaluator
from .named_executors import make_executor as make_executor
from .predictor import FittedEvaluator as FittedEvaluator
from .processes import ProcessExecutor as ProcessExecutor
from .proxy import ProxyEvaluator as ProxyEvaluator
from .ray_executor import RayExecutor as RayExecutor
from .recorded import RecordedTraining as RecordedTraining
from .search import TrialSearch as TrialSearch
from .supernet import SupernetEvaluator as SupernetEvaluator
from .table import TableEvaluator as TableEvaluator
from .table_builder import build_table as build_table
from .tasks import TasksEvaluator as TasksEvaluator
from .train import TrainEvaluator as TrainEvaluator
from .train import TrainingOfTrials as TrainingOfTrials
from .with_costs import WithCosts as WithCosts
