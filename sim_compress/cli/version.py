"""The version of the installed package."""

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """As pip knows it; a source tree that is not installed has none."""
    try:
        return version("sim-compress")
    except PackageNotFoundError:
        return "unknown (not installed)"
