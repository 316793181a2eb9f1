"""How a model fares on inputs that are moved against it."""

from sim_compress.robustness.attacks import Attack, Domain, fgsm, pgd
from sim_compress.robustness.certified import Certified, certified, reachable
from sim_compress.robustness.evaluate import Accuracy, Robustness, evaluate, scored_output

__all__ = [
    "Accuracy",
    "Attack",
    "Certified",
    "Domain",
    "Robustness",
    "certified",
    "evaluate",
    "fgsm",
    "pgd",
    "reachable",
    "scored_output",
]
