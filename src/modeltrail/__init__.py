"""modeltrail: a model registry that deploys to KServe and remembers everything."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("modeltrail")
