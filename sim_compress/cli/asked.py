"""How far to compress: one sparsity, several, or as far as a bound on the drop allows."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim_compress.cli.data import BYTE, scaling_asked
from sim_compress.cli.values import targets_of
from sim_compress.compression import Settings, method_of, pattern_of
from sim_compress.errors import InputError

# A dry run needs none, but settings do.
ANY = 0.5


@dataclass(frozen=True)
class Asked:
    """What the command line says.

    Attributes:
        levels: target sparsities, ascending; that of a pattern that fixes it; none with a bound, or in a dry
            run without any.
        bound: of the drop, a part of the samples; None without --max-drop.
        targets: pattern -> target sparsity of its blocks.
    """

    levels: tuple[float, ...]
    bound: float | None
    targets: Mapping[str, float]


def asked(arguments: argparse.Namespace) -> Asked:
    """What was asked.

    Raises:
        InputError: it was asked in two ways, or a pattern says otherwise.
    """
    general, targets = targets_of(arguments.target_sparsity)
    ways = {
        "--target-sparsity": general is not None,
        "--sweep": arguments.sweep is not None,
        "--max-drop": arguments.max_drop is not None,
    }
    given = [name for name, there in ways.items() if there]
    if len(given) > 1:
        raise InputError(
            f"{' and '.join(given)} cannot both be followed: give one of them "
            "(--target-sparsity 'REGEX=PART' goes with each)"
        )
    # A namespace has the settings that decide under their own names.
    deciding: Any = arguments
    method = method_of(deciding)
    if method.several and not ways["--target-sparsity"] and given:
        raise InputError(
            f"{given[0]} asks for several sparsities, and {method.several}: give --target-sparsity, or match "
            "nearly"
        )
    fixed = pattern_of(arguments.pattern).sparsity
    if fixed is not None and arguments.max_drop is not None:
        raise InputError(
            f"--max-drop looks for a sparsity, and the pattern {arguments.pattern} fixes it at "
            f"{100 * fixed:g} %: give one of them"
        )
    one = fixed if general is None else general
    return Asked(arguments.sweep or (() if one is None else (one,)), arguments.max_drop, targets)


def _robust(arguments: argparse.Namespace) -> float | tuple[float, ...] | None:
    """Epsilon in the units that the network takes, where pixels are scaled one for each channel."""
    scaling = scaling_asked(arguments.mean, arguments.std)
    if arguments.robust is None or scaling is None:
        return arguments.robust
    unit = BYTE if scaling.of_pixels else 1
    found = tuple(arguments.robust * unit / std for std in scaling.std)
    return found[0] if len(found) == 1 else found


def settings_of(arguments: argparse.Namespace, wanted: Asked) -> Settings:
    """The settings of the sparsest level; those of the others differ in their target alone."""
    return Settings(
        wanted.levels[-1] if wanted.levels else ANY,
        objective=arguments.objective,
        kappa=arguments.kappa,
        support=arguments.support,
        states=arguments.states,
        allocation=arguments.allocation,
        nearest_rounds=arguments.nearest_rounds,
        solver=arguments.solver,
        matching=arguments.matching,
        ignore=tuple(arguments.ignore),
        only=tuple(arguments.only),
        targets=wanted.targets,
        pattern=arguments.pattern,
        augment=arguments.augment,
        tune=arguments.tune,
        robust=_robust(arguments),
        values=arguments.values,
    )
