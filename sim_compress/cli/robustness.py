"""What sim-compress evaluate does with --attack: the options as attacks, and the table."""

import argparse
from collections.abc import Callable, Mapping

import numpy as np
from rich.table import Table

from sim_compress.cli import words
from sim_compress.cli.data import BYTE, Data, Scaling, layout
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.robustness import Accuracy, Attack, Domain, Robustness, evaluate, fgsm, pgd
from sim_compress.runtime import Session

# Options that say how inputs are moved.
OF_ATTACKS = ("pixels", "steps", "clip", "attack_seed")


def robustness_asked(arguments: argparse.Namespace) -> bool:
    """Whether inputs are moved at all."""
    return bool(arguments.attack)


def check_robustness(arguments: argparse.Namespace) -> None:
    """Refuse options that would be ignored, and attacks without a size.

    Raises:
        InputError: there are such.
    """
    if not robustness_asked(arguments):
        for name in ("epsilon", *OF_ATTACKS):
            if getattr(arguments, name) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} is of attacks, and none is asked for: give --attack pgd"
                )
        return
    if arguments.epsilon is None:
        raise InputError("--attack needs --epsilon, how far inputs may move: as --epsilon 0.004,0.008")
    if arguments.steps is not None and "pgd" not in arguments.attack:
        raise InputError("--steps is of pgd, and --attack names fgsm alone: leave it out")


def measured(
    arguments: argparse.Namespace,
    session: Session,
    network: ImplicitModel | None,
    data: Data,
    labels: Array | None,
    scaling: Scaling | None,
    progress: Callable[[float], None],
) -> Robustness:
    """Accuracies under the attacks asked for; arguments as `evaluate` takes them."""
    domain = domain_of(session.model, scaling if data.images else None, arguments.clip)
    return evaluate(
        session,
        data.inputs,
        labels,
        list(_attacks(arguments)),
        against=network,
        domain=domain,
        progress=progress,
    )


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


def robustness_table(robustness: Robustness) -> Table:
    """A row for the inputs as they are and for every attack."""
    both = robustness.network_clean is not None
    table = Table()
    table.add_column("part of the samples whose class stays right", no_wrap=True)
    for heading in ("network", "network, moved by artifact's gradient")[: 2 * both]:
        table.add_column(heading, justify="right")
    for heading in ("artifact", "artifact, moved by network's gradient")[: 1 + both]:
        table.add_column(heading, justify="right")
    clean = [robustness.network_clean, None, robustness.clean, None] if both else [robustness.clean]
    for label, values in [("as they are", clean), *(_row(a, both) for a in robustness.attacks)]:
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


def _label(attack: Attack) -> str:
    steps = f"-{attack.steps}" if attack.steps > 1 else ""
    pixels = "" if attack.pixels == 1 else f", {100 * attack.pixels:g} % of the entries"
    return f"{attack.name}{steps}, epsilon {attack.epsilon:g}{pixels}"
