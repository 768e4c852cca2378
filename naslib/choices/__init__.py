"""Choices for the layers of your own module (docs/choices.md)."""

from naslib.search_spaces.core.choices import InputChoice as InputChoice
from naslib.search_spaces.core.choices import LayerChoice as LayerChoice
from naslib.search_spaces.core.choices import RepeatChoice as RepeatChoice
from naslib.search_spaces.core.choices import ValueChoice as ValueChoice
