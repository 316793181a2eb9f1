"""What sim-compress evaluate does with --attack and --certify, and its table."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from sim_compress.cli import words
from sim_compress.cli.data import BYTE, Data, Scaling, layout
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.robustness import (
    Accuracy,
    Attack,
    Certified,
    Domain,
    Robustness,
    certified,
    classes_of,
    evaluate,
    fgsm,
    pgd,
    scored_output,
)
from sim_compress.runtime import Session

# Options that say how inputs are moved.
OF_ATTACKS = ("pixels", "steps", "attack_seed")


def robustness_asked(arguments: argparse.Namespace) -> bool:
    """Whether inputs are moved at all."""
    return bool(arguments.attack) or arguments.certify


def check_robustness(arguments: argparse.Namespace) -> None:
    """Refuse options that would be ignored, and attacks without a size.

    Raises:
        InputError: there are such.
    """
    if not robustness_asked(arguments):
        _refuse(arguments, ("epsilon", *OF_ATTACKS, "clip"), "give --attack pgd or --certify")
        return
    if arguments.epsilon is None:
        asked = "--attack" if arguments.attack else "--certify"
        raise InputError(f"{asked} needs --epsilon, how far inputs may move: as --epsilon 0.004,0.008")
    if not arguments.attack:
        _refuse(arguments, OF_ATTACKS, "give --attack pgd")
    if arguments.steps is not None and "pgd" not in arguments.attack:
        raise InputError("--steps is of pgd, and --attack names fgsm alone: leave it out")


def _refuse(arguments: argparse.Namespace, names: Sequence[str], advice: str) -> None:
    for name in names:
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} is of attacks, and none is asked for: {advice}")


@dataclass(frozen=True)
class Moved:
    """What inputs that move do to the class."""

    attacks: Robustness
    certified: tuple[Certified, ...]


def measured(
    arguments: argparse.Namespace,
    session: Session,
    network: ImplicitModel | None,
    data: Data,
    labels: Array | None,
    scaling: Scaling | None,
    progress: Callable[[float], None],
) -> Moved:
    """Accuracies under the attacks asked for, and certified; arguments as `evaluate` takes them."""
    domain = domain_of(session.model, scaling if data.images else None, arguments.clip)
    attacks, certify = _attacks(arguments), arguments.epsilon if arguments.certify else ()
    whole, theirs = len(attacks) + len(certify), None if network is None else Session(network)
    found = evaluate(
        session,
        data.inputs,
        labels,
        attacks,
        against=theirs,
        domain=domain,
        progress=lambda p: progress(p * len(attacks) / whole),
    )
    if labels is None and theirs is not None and certify:
        labels = classes_of(theirs, data.inputs, scored_output(theirs.model))
    proven = []
    for number, epsilon in enumerate(certify):
        safe = [
            certified(model, data.inputs, epsilon, labels, domain=domain)
            for model in (session, theirs)
            if model is not None
        ]
        progress((len(attacks) + number + 1) / whole)
        of_network = float(safe[1][0].mean()) if len(safe) > 1 else None
        proven.append(Certified(epsilon, float(safe[0][0].mean()), safe[0][1], of_network))
    return Moved(found, tuple(proven))


def domain_of(model: ImplicitModel, scaling: Scaling | None, clip: tuple[float, float] | None) -> Domain:
    """What inputs may be, in the units that the network takes; both ends and epsilon are of pixels where
    those are scaled."""
    low, high = clip or (-np.inf, np.inf)
    if scaling is None:
        return Domain(low, high)
    form = layout(model.inputs[0].shape)
    mean, std = (np.array(v, np.float64) for v in (scaling.mean, scaling.std))
    if form is not None and not form.channels_last:
        mean, std = mean[:, None, None], std[:, None, None]
    # Epsilon is of pixels / 255 whatever mean and std are of.
    unit = BYTE if scaling.of_pixels else 1
    return Domain((low * unit - mean) / std, (high * unit - mean) / std, unit / std)


def _attacks(arguments: argparse.Namespace) -> "list[Attack]":
    pixels = 1.0 if arguments.pixels is None else arguments.pixels
    seed = arguments.attack_seed or 0
    made: Mapping[str, Callable[[float], Attack]] = {
        "fgsm": lambda e: fgsm(e, pixels, seed),
        "pgd": lambda e: pgd(
            e, **({} if arguments.steps is None else {"steps": arguments.steps}), pixels=pixels, seed=seed
        ),
    }
    return [made[name](epsilon) for name in arguments.attack for epsilon in arguments.epsilon]


def robustness_table(moved: Moved) -> Table:
    """A row for the inputs as they are, for every attack and for every epsilon that is certified."""
    robustness = moved.attacks
    both = robustness.network_clean is not None
    table = Table()
    table.add_column("part of the samples whose class stays right", no_wrap=True)
    for heading in ("network", "network, moved by artifact's gradient")[: 2 * both]:
        table.add_column(heading, justify="right")
    for heading in ("artifact", "artifact, moved by network's gradient")[: 1 + both]:
        table.add_column(heading, justify="right")
    clean = [robustness.network_clean, None, robustness.clean, None] if both else [robustness.clean]
    rows = [("as they are", clean), *(_row(a, both) for a in robustness.attacks)]
    rows += [_certain(c, both) for c in moved.certified]
    for label, values in rows:
        table.add_row(label, *("" if v is None else words.percent(v) for v in values))
    return table


def _row(under: Accuracy, both: bool) -> tuple[str, list[float | None]]:
    if both:
        return _label(under.attack), [
            under.network_own,
            under.network_transferred,
            under.own,
            under.transferred,
        ]
    return _label(under.attack), [under.own]


def _certain(certified: Certified, both: bool) -> tuple[str, list[float | None]]:
    values = [certified.network_accuracy, None] if both else []
    return f"certified ({certified.method} bounds), epsilon {certified.epsilon:g}", [
        *values,
        certified.accuracy,
    ]


def _label(attack: Attack) -> str:
    steps = f"-{attack.steps}" if attack.steps > 1 else ""
    pixels = "" if attack.pixels == 1 else f", {100 * attack.pixels:g} % of the entries"
    return f"{attack.name}{steps}, epsilon {attack.epsilon:g}{pixels}"
