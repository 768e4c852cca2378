"""Tasks: what learning means."""

from naslib.registry.catalogue import TASKS as TASKS

from .class_counts import ClassCounts as ClassCounts
from .class_task import ClassTask as ClassTask
from .class_task import check_weights as check_weights
from .classification import Classification as Classification
from .few_shot import FewShot as FewShot
from .meter import Meter as Meter
from .regression import Regression as Regression
from .score import Measured as Measured
from .score import Score as Score
from .segmentation import Segmentation as Segmentation
from .sequence import LanguageModelling as LanguageModelling
from .sequence import SequenceClassification as SequenceClassification
from .settle import build_task as build_task
from .settle import settle_task as settle_task
from .settle import with_data as with_data
from .task import Task as Task
