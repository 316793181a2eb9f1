"""Options that the chosen way would ignore are refused, each in one line, before any work."""

import argparse
from collections.abc import Iterator
from typing import Any

from sim_compress.compression import method_of, unused
from sim_compress.errors import InputError


def check_options(arguments: argparse.Namespace, data_given: bool) -> None:
    """Refuse options of the main job that nothing would read.

    Args:
        arguments: of the main job; `given` holds the names of those that stand on the command line.
        data_given: whether calibration data are named or lie beside the network.

    Raises:
        InputError: an option would be ignored.
    """
    for text in (*_of_the_job(arguments, data_given), *_of_the_settings(arguments)):
        raise InputError(text)


def _of_the_job(arguments: argparse.Namespace, data_given: bool) -> Iterator[str]:
    """What has no place in the job, whatever the settings."""
    if arguments.keep and arguments.sweep is None:
        yield "--keep needs --sweep: one run keeps its artifact anyway"
    if "seed" in arguments.given and data_given:
        yield "--seed is that of made-up inputs, and there are calibration data: leave it out"
    if arguments.labels is not None and arguments.evaluation is None and not data_given:
        yield "--labels belong to inputs, and those of this run are made up: give --data or --eval too"


def _of_the_settings(arguments: argparse.Namespace) -> Iterator[str]:
    values = {name: getattr(arguments, name) for name in arguments.given}
    # A namespace has the settings that decide under their own names.
    asked: Any = arguments
    for name, value, reason in unused(method_of(asked), values):
        yield f"--{name.replace('_', '-')} {value} would be ignored: {reason}; leave it out"
