"""Where data lies (`naslib.utils.locations`, which is known before torch is imported)."""

from naslib.utils.locations import data_directories as data_directories
from naslib.utils.locations import download_directory as download_directory
from naslib.utils.locations import find_path as find_path
from naslib.utils.locations import subfolders as subfolders
from naslib.utils.locations import user_cache as user_cache
