"""Features: architectures of any space, and what else is known of them, as numbers for predictors."""

from .batch import encode_batch as encode_batch
from .batch import feature_names as feature_names
from .batch import zero_categories as zero_categories
from .known import known_numbers as known_numbers
from .scaled_values import ScaledValues as ScaledValues
from .scaling import Ranks as Ranks
from .scaling import Scaler as Scaler
from .scaling import typical_distance as typical_distance
