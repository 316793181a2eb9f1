"""The run folder of a command: beside its output, and gone when what was asked for is written."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim_compress.cli.console import note
from sim_compress.cli.output import base
from sim_compress.compression import RunFolder

SUFFIX = ".sim.run"


def run_folder_path(output: Path) -> Path:
    """NAME.sim.run."""
    stem = base(output)
    return stem.parent / (stem.name + SUFFIX)


@contextmanager
def run_folder(arguments: argparse.Namespace, output: Path) -> Iterator[RunFolder]:
    """Results of steps, which the same command goes on from where this one ends early.

    Raises:
        InputError: the folder is of another run, damaged or in use, when the run opens it.
    """
    with RunFolder(run_folder_path(output), fresh=arguments.fresh) as folder:
        try:
            yield folder
        except BaseException:
            if folder.results:
                note(
                    f"{folder.path} holds what is done ({folder.results} results): the same command goes on "
                    "from it"
                )
            raise
        if arguments.keep_run:
            folder.keep()
        folder.complete()
