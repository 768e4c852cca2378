"""Metadata of naslib; tool settings are in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "naslib" / "__init__.py").read_text(encoding="utf-8"))[1]

# The lower bounds are what is tested; torch decides the rest.
CORE = [
    "torch>=2.11",
    "torchvision>=0.26",
    "networkx>=3.2",
    "pyyaml>=6.0",
    "numpy>=1.26",
    "scipy>=1.11",
    "scikit-learn>=1.4",
    "pydantic>=2.7",
    "tqdm>=4.66",
    "matplotlib>=3.8",
    "tensorboard>=2.16",
]
TEST = ["pytest>=8.2", "pytest-xdist>=3.6"]
DEV = [*TEST, "ruff==0.17.6", "mypy==2.4.1", "types-PyYAML", "types-tqdm", "pre-commit"]

setup(
    name="naslib",
    version=VERSION,
    description="Neural architecture search on graphs: one line swaps the optimizer, one line the space",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["naslib", "naslib.*"]), "naslib._configs"],
    package_dir={"naslib._configs": "configs"},
    package_data={
        "naslib": ["py.typed"],
        "naslib.native": ["csrc/*.cpp", "csrc/*.h"],
        "naslib._configs": ["*.yaml", "published/*.yaml"],
    },
    install_requires=CORE,
    extras_require={"test": TEST, "dev": DEV},
    entry_points={"console_scripts": ["naslib = naslib.build:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
