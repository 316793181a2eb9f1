"""How a model fares on inputs that are moved against it."""

from sim_compress.robustness.attacks import Attack, Domain, fgsm, pgd
from sim_compress.robustness.evaluate import Accuracy, Robustness, evaluate

__all__ = ["Accuracy", "Attack", "Domain", "Robustness", "evaluate", "fgsm", "pgd"]
