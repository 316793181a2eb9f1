"""The command sim-compress: parse, call the library, show what came out."""

from sim_compress.cli.entry import main

__all__ = ["main"]
