"""Whether labels go with what is judged by them: shifted and shuffled ones are said beside the score."""

import numpy as np

from sim_compress.model.maps import Array

# Standard deviations by which a part of the samples must be above chance to be no accident.
CERTAIN = 3.0


def label_remarks(classes: Array, labels: Array, whose: str) -> tuple[str, ...]:
    """Sentences on labels that do not fit; none where they do.

    Args:
        classes: the class that a model gives each sample, (samples,).
        labels: (samples,).
        whose: the model in words.
    """
    if shifted := shift_remark(classes, labels, whose):
        return (shifted,)
    first = int(labels[0])
    if (labels == first).all():
        return (f"all labels are {first}: the accuracy says no more than how often {whose} gives this class",)
    right, chance = _fitting(classes, labels)
    if right > _above(chance, len(labels)):
        return ()
    return (
        f"the accuracy of {whose} is that of guessing: {100 * right:.2f} % of {len(labels):,} labels fit, "
        f"{100 * chance:.2f} % of shuffled ones would: are they in the order of the inputs?",
    )


def shift_remark(classes: Array, labels: Array, whose: str) -> str | None:
    """A sentence on labels that would fit if they were counted from another number; arguments as above."""
    right, chance = _fitting(classes, labels)
    if right > _above(chance, len(labels)):
        return None
    for shift, words in ((1, "one less"), (-1, "one more")):
        moved, by_chance = _fitting(classes, labels.astype(np.int64) - shift)
        if moved > max(right, _above(by_chance, len(labels))):
            few = "no label fits" if not right else f"only {100 * right:.2f} % of the labels fit"
            return (
                f"{few} the classes of {whose}, {100 * moved:.2f} % would if each were {words}: labels look "
                "shifted by one; classes are counted from 0"
            )
    return None


def _fitting(classes: Array, labels: Array) -> tuple[float, float]:
    """Part of the labels that fit, and what it would be for the same labels in another order."""
    both, labelled = np.unique(labels, return_counts=True)
    given = np.array([np.count_nonzero(classes == label) for label in both])
    return float(np.mean(classes == labels)), float((given / len(classes)) @ (labelled / len(labels)))


def _above(chance: float, samples: int) -> float:
    """What no accident exceeds."""
    return chance + CERTAIN * np.sqrt(chance * (1 - chance) / samples)
