"""How a model fares on inputs that are moved against it."""

from sim_compress.robustness.attacks import Attack, Domain, fgsm, pgd
from sim_compress.robustness.certified import Certified, certified, reachable
from sim_compress.robustness.evaluate import Accuracy, Robustness, classes_of, evaluate, scored_output

__all__ = [
    "Accuracy",
    "Attack",
    "Certified",
    "Domain",
    "Robustness",
    "certified",
    "classes_of",
    "evaluate",
    "fgsm",
    "pgd",
    "reachable",
    "scored_output",
]
