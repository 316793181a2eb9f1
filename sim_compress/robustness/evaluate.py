"""The accuracy of a model, and of the network it came from, on inputs that are moved against them."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.errors import DataError, InputError
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.robustness.attacks import Attack, Domain
from sim_compress.robustness.loss import Ascent
from sim_compress.runtime import Session, check_inputs, check_labels, check_samples, is_scores, named
from sim_compress.runtime.reverse.inputs import InputGradients
from sim_compress.runtime.reverse.tied_code import LANES

# Samples that are evaluated at a time.
BATCH = 256
NO_CLASS = -1


@dataclass(frozen=True)
class Accuracy:
    """Part of the samples whose class stays right under an attack.

    Attributes:
        attack: what was done to the inputs.
        own: of the model, by its own gradient (white box).
        transferred: of the model, by the network's gradient; None without a network.
        network_own, network_transferred: the same of the network, by its own gradient and the model's.
    """

    attack: Attack
    own: float
    transferred: float | None = None
    network_own: float | None = None
    network_transferred: float | None = None


@dataclass(frozen=True)
class Robustness:
    """What attacks do.

    Attributes:
        samples: how many there were.
        labelled: whether classes are labels; else they are the network's, or the model's own.
        clean: accuracy of the model on the inputs as they are.
        network_clean: the network's.
        attacks: accuracies under attacks, in their order.
    """

    samples: int
    labelled: bool
    clean: float
    network_clean: float | None
    attacks: tuple[Accuracy, ...]


def evaluate(
    model: Session | ImplicitModel,
    inputs: ArrayLike | Mapping[str, ArrayLike],
    labels: ArrayLike | None = None,
    attacks: Sequence[Attack] = (),
    *,
    against: Session | ImplicitModel | None = None,
    domain: Domain | None = None,
    threads: int | None = None,
    progress: Callable[[float], None] = lambda _part: None,
) -> Robustness:
    """Accuracy on the inputs as they are and under attacks.

    Args:
        model: the model, `sim_compress.load(path)` as it is.
        inputs: (samples, ...), or such arrays by name.
        labels: class numbers (samples,); if not given they are the classes of the network, or the
            model's own.
        attacks: `fgsm(epsilon)`, `pgd(epsilon)`.
        against: the network it came from, `open_teacher(path).model`: attacked too, each by its own gradient
            and by the other's.
        domain: what values inputs may take; any, if not given.
        threads: by default one for each processor.
        progress: called with the finished part in [0, 1].

    Raises:
        DataError: inputs or labels do not fit, or inputs lie outside the domain.
        InputError: no input is of real numbers, or not one output alone is a vector of class scores.
    """
    ours = given_session(model, threads)
    judges = [ours] if against is None else [ours, given_session(against, threads)]
    arrays, output = prepared_inputs(ours.model, inputs), scored_output(ours.model)
    if against is not None:
        _check_pair(*(s.model for s in judges))
    domains = moved_inputs(ours.model, domain or Domain(), arrays) if attacks else {}
    found = [classes_of(s, arrays, output) for s in judges]
    if labels is None:
        classes = found[-1]
    else:
        classes = np.asarray(labels)
        check_labels(ours.model, classes, len(found[0]))
    ways = [Ascent(InputGradients(s.model), output) for s in judges] if attacks else []
    done, rows = 0, []
    for attack in attacks:
        accuracy: list[float] = []
        for way in ways:
            moved = _moved(attack, way, arrays, classes, domains, ours.threads)
            accuracy += [_right(classes_of(s, moved, output), classes) for s in judges]
            done += 1
            progress(done / (len(ways) * len(attacks)))
        rows.append(_row(attack, accuracy))
    clean = [_right(f, classes) for f in found]
    return Robustness(len(classes), labels is not None, clean[0], clean[1] if against else None, tuple(rows))


def prepared_inputs(model: ImplicitModel, inputs: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Inputs by name in the model's own dtypes.

    Raises:
        DataError: they do not fit.
    """
    arrays = {n: np.asarray(u) for n, u in named(model.inputs, inputs).items()}
    check_samples(model.inputs, arrays)
    return check_inputs(model.inputs, arrays)


def scored_output(model: ImplicitModel) -> str:
    """The one output that is a vector of class scores.

    Raises:
        InputError: there is none, or more than one.
    """
    scored = [o.name for o in model.outputs if is_scores(o.shape)]
    if len(scored) != 1:
        raise InputError(
            "robustness is that of a class: it needs one output that is a vector of class scores, and "
            f"the model has {len(scored)} of them among {', '.join(o.name for o in model.outputs)}"
        )
    return scored[0]


def classes_of(session: Session, inputs: Mapping[str, Array], output: str) -> Array:
    """The class of every sample, (samples,); -1 where scores are no numbers."""
    found = []
    for first in range(0, len(next(iter(inputs.values()))), BATCH):
        scores = session.predict({n: u[first : first + BATCH] for n, u in inputs.items()})[output]
        flat = scores.reshape(len(scores), -1)
        found.append(np.where(np.isfinite(flat).all(axis=1), flat.argmax(axis=1), NO_CLASS))
    return np.concatenate(found)


def given_session(model: Session | ImplicitModel, threads: int | None) -> Session:
    """The session itself, or one of the model."""
    return Session(model, threads=threads) if isinstance(model, ImplicitModel) else model


def _check_pair(ours: ImplicitModel, theirs: ImplicitModel) -> None:
    """DataError unless both take the same inputs and give the same outputs."""
    for what in ("inputs", "outputs"):
        own, other = ({x.name: x.shape for x in getattr(m, what)} for m in (ours, theirs))
        if own != other:
            raise DataError(
                f"the network has the {what} {other}, the model {own}: give the network that it came from"
            )


def moved_inputs(model: ImplicitModel, domain: Domain, arrays: Mapping[str, Array]) -> dict[str, Domain]:
    """The domain of every input that can be moved.

    Raises:
        InputError: there is none.
        DataError: an input lies outside.
    """
    moved = [i for i in model.inputs if np.dtype(i.dtype).kind == "f"]
    if not moved:
        raise InputError(
            "no input can be moved by a small epsilon: "
            f"{', '.join(f'{i.name} ({i.dtype})' for i in model.inputs)}, and attacks are on real numbers; "
            "cut the network behind its lookup and give its rows as inputs"
        )
    for i in moved:
        low, high = domain.box(arrays[i.name], 0)
        outside = np.argwhere((arrays[i.name] < low) | (arrays[i.name] > high))
        if len(outside):
            value = arrays[i.name][tuple(outside[0])]
            raise DataError(
                f"input {i.name!r}: sample {outside[0][0]} holds {value:g}, outside the range given for "
                "inputs: give the least and largest value that inputs may take"
            )
    return {i.name: domain for i in moved}


def _moved(
    attack: Attack,
    way: Ascent,
    inputs: Mapping[str, Array],
    classes: Array,
    domains: Mapping[str, Domain],
    threads: int,
) -> dict[str, Array]:
    """All inputs after an attack."""

    def part(first: int) -> dict[str, Array]:
        own = slice(first, first + LANES)
        batch = {n: u[own] for n, u in inputs.items()}
        return attack.moved(batch, way.of(classes[own]), domains, first)

    with ThreadPoolExecutor(threads) as workers:
        parts = list(workers.map(part, range(0, len(classes), LANES)))
    return {n: np.concatenate([p[n] for p in parts]) for n in inputs}


def _right(found: Array, classes: Array) -> float:
    return float(np.mean(found == classes))


def _row(attack: Attack, accuracy: Sequence[float]) -> Accuracy:
    """From the accuracies by gradient, and by judge for each."""
    if len(accuracy) == 1:
        return Accuracy(attack, accuracy[0])
    own, network_transferred, transferred, network_own = accuracy
    return Accuracy(attack, own, transferred, network_own, network_transferred)
