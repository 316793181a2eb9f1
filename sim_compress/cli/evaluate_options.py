"""Options of the command that scores an artifact: under attacks, and certified."""

import argparse
import math

from sim_compress.cli.values import positive, seed
from sim_compress.errors import InputError

ATTACKS = ("fgsm", "pgd")


def add_robustness(parser: argparse.ArgumentParser) -> None:
    """Inputs that are moved against the model."""
    group = parser.add_argument_group("robustness", "how often the class stays when inputs are moved")
    group.add_argument(
        "--attack",
        type=attacks,
        default=(),
        metavar="fgsm,pgd",
        help="accuracy under attack, of the artifact and of the network of --against, each by its own "
        "gradient and by the other's; without labels against the network's own classes",
    )
    group.add_argument(
        "--certify",
        action="store_true",
        help="part of the samples whose class is right and certain to stay within epsilon, under any attack",
    )
    group.add_argument(
        "--epsilon",
        type=epsilons,
        metavar="E[,E]",
        help="how far an entry of an input may move, in the units of the data; with --mean and --std in "
        "those of the pixels that they scale, 0..1",
    )
    group.add_argument(
        "--pixels",
        type=part,
        metavar="PART",
        help="part of the entries, drawn at random, that move (default: 1)",
    )
    group.add_argument(
        "--steps", type=positive, metavar="N", help="pgd: steps of 2.5 epsilon / N each (default: 40)"
    )
    group.add_argument(
        "--clip", type=ends, metavar="LOW,HIGH", help="least and largest value of an input, as 0,1 or 0,255"
    )
    group.add_argument(
        "--attack-seed", type=seed, metavar="N", help="of what is random in an attack (default: 0)"
    )


def attacks(text: str) -> tuple[str, ...]:
    """Names of attacks with commas between.

    Raises:
        InputError: one is unknown, or comes twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in ATTACKS:
            raise InputError(f"--attack {text}: no attack {name!r}; choose of {', '.join(ATTACKS)}")
    if len(set(names)) < len(names):
        raise InputError(f"--attack {text} names one twice")
    return names


def epsilons(text: str) -> tuple[float, ...]:
    """Sizes with commas between.

    Raises:
        InputError: one is no number above 0.
    """
    found = _numbers(text, "--epsilon")
    if not all(0 < e < math.inf for e in found):
        raise InputError(f"--epsilon {text}: expected numbers above 0, as 0.004,0.008")
    return found


def part(text: str) -> float:
    """0.5 and 50% are one half.

    Raises:
        InputError: it is no part above 0.
    """
    percent = text.strip().endswith("%")
    (value,) = _numbers(text.strip().removesuffix("%"), "--pixels") or (0.0,)
    value = value / 100 if percent else value
    if not 0 < value <= 1:
        raise InputError(f"--pixels {text}: expected a part above 0 and at most 1, as 0.5 or 50%")
    return value


def ends(text: str) -> tuple[float, float]:
    """LOW,HIGH.

    Raises:
        InputError: it is not two numbers in order.
    """
    found = _numbers(text, "--clip")
    if len(found) != 2 or not found[0] < found[1]:
        raise InputError(f"--clip {text}: expected the least and the largest value of an input, as 0,1")
    return found[0], found[1]


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} {text}: expected numbers with commas between") from error
