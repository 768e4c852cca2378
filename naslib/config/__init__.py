"""Config files and the command line, validated before anything is built."""

from naslib.config.cli import CommandLine as CommandLine
from naslib.config.cli import config_from_command_line as config_from_command_line
from naslib.config.cli import parse_cli as parse_cli
from naslib.config.config import Config as Config
from naslib.config.config import config_to_yaml as config_to_yaml
from naslib.config.editor_schema import json_schema as json_schema
from naslib.config.editor_schema import json_schema_text as json_schema_text
from naslib.config.extensions import SchemaExtensions as SchemaExtensions
from naslib.config.find import find_config_file as find_config_file
from naslib.config.loader import load_config as load_config
from naslib.config.run_folder import echo_config as echo_config
from naslib.config.run_folder import move_away as move_away
from naslib.config.run_folder import prepare_run_folder as prepare_run_folder
