"""Data sets in memory or streamed, and loaders that never keep a step waiting."""

from . import sets as sets
from .augment import AugmentOptions as AugmentOptions
from .batch_loader import BatchLoader as BatchLoader
from .episode_loader import EpisodeLoader as EpisodeLoader
from .epoch_loader import EpochLoader as EpochLoader
from .fixed_epochs import FixedEpochs as FixedEpochs
from .image_data import ImageData as ImageData
from .image_data import ImageSet as ImageSet
from .info import DatasetInfo as DatasetInfo
from .loaders import Loaders as Loaders
from .loaders import build_eval_loaders as build_eval_loaders
from .loaders import build_search_loaders as build_search_loaders
from .preprocess import Preprocess as Preprocess
from .registry import DATASETS as DATASETS
from .registry import is_dataset as is_dataset
from .registry import load_data as load_data
from .sequences import sequence_data as sequence_data
from .stream_loader import StreamLoader as StreamLoader
from .stream_set import StreamSet as StreamSet
