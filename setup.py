"""Metadata of naslib; tool settings are in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "naslib" / "__init__.py").read_text(encoding="utf-8"))[1]

# The lower bounds are what .ci/run tests, but for torch and torchvision, of which it tests the newest.
CORE = [
    "torch>=2.11",
    "torchvision>=0.26",
    "networkx>=3.4",
    "pyyaml>=6.0.2",
    "numpy>=2.0",
    "scipy>=1.13",
    "scikit-learn>=1.6",
    "pydantic>=2.8",
    "tqdm>=4.66",
    "matplotlib>=3.9",
    "tensorboard>=2.18",
    "safetensors>=0.4.5",
    "jinja2>=3.1.4",
]
# What some classes need beside the core; each is imported where it is used, and named by the error that misses it.
EXTRAS = {
    "optuna": ["optuna>=4.5"],
    "moocore": ["moocore>=0.2"],
    "onnx": ["onnx>=1.18", "onnxscript>=0.6"],
    "parquet": ["pyarrow>=18"],
    "ray": ["ray>=2.44"],
    "trees": ["lightgbm>=4.5", "xgboost-cpu>=3.0", "ngboost>=0.5.8,!=0.6.0"],  # 0.6.0 wants an old scikit-learn
}
ALL = sorted(name for names in EXTRAS.values() for name in names)
# The pages of docs/ as a site
DOCS = ["mkdocs-material>=9.6", "mkdocstrings[python]>=0.30"]
TEST = [
    "pytest>=8.2",
    "pytest-xdist>=3.6.1",
    "hypothesis>=6.100",
    "onnxruntime>=1.22",
    "playwright>=1.50",
    "axe-playwright-python>=0.1.4",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "ipykernel>=6.29",
    *ALL,
    *DOCS,
]
DEV = [*TEST, "ruff==0.17.6", "mypy==2.4.1", "types-PyYAML", "types-tqdm", "pre-commit"]

# README's links lead to files beside it, which a package page does not have: there they are names of files.
_LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+://)([^)#]+)(?:#[^)]*)?\)")


def _without_links(text: str) -> str:
    return _LINK.sub(lambda m: m[1] if m[1].strip("`") == m[2] else f"{m[1]} (`{m[2]}`)", text)


setup(
    name="naslib",
    version=VERSION,
    description="Neural architecture search on graphs: one line swaps the optimizer, one line the space",
    long_description=_without_links((HERE / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["naslib", "naslib.*"]), "naslib._configs"],
    package_dir={"naslib._configs": "configs"},
    package_data={
        "naslib": ["py.typed"],
        "naslib.benchmarks": ["tables/*.npz"],
        "naslib.report": ["templates/*.html", "templates/*.css", "templates/*.js"],
        "naslib.native": ["csrc/*.cpp", "csrc/*.h"],
        "naslib._configs": ["*.yaml", "*/*.yaml"],
    },
    install_requires=CORE,
    extras_require={
        **EXTRAS,
        "all": ALL,
        "docs": DOCS,
        "test": TEST,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["naslib = naslib.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
