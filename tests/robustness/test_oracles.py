"""Accuracies under attack agree with those of the Adversarial Robustness Toolbox and of torchattacks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim_compress import open_teacher
from sim_compress.robustness import Domain, evaluate, fgsm, pgd
from sim_compress.runtime import Session

torch: Any = pytest.importorskip("torch")
MODELS = Path(__file__).parents[2] / "models"
SAMPLES = 2000
# Points of a hundred: as far as the two may be apart.
TOLERANCE = 0.3
LARGEST, EPSILONS = 255.0, (2.04, 7.65)


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(open_teacher(MODELS / "fashion_mlp.onnx").model)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    held = np.load(MODELS / "fashion_mnist.evaluation.npz")
    return held["images"][:SAMPLES].astype(np.float32), held["labels"][:SAMPLES]


def own(session: Session, data: tuple[np.ndarray, np.ndarray]) -> list[float]:
    """Accuracies in points, of FGSM and PGD at every epsilon, without random starts."""
    attacks = [a for e in EPSILONS for a in (fgsm(e), pgd(e, 20, start=False))]
    found = evaluate(session, *data, attacks=attacks, domain=Domain(0, LARGEST))
    return [100 * a.own for a in found.attacks]


def test_the_adversarial_robustness_toolbox_agrees(session, data):
    attacks: Any = pytest.importorskip("art.attacks.evasion")
    estimators: Any = pytest.importorskip("art.estimators.classification")
    images, labels = data
    classifier = estimators.PyTorchClassifier(
        session.to_torch(),
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=images.shape[1:],
        nb_classes=10,
        clip_values=(0.0, LARGEST),
        device_type="cpu",
    )
    theirs = []
    for epsilon in EPSILONS:
        for attack in (
            attacks.FastGradientMethod(classifier, eps=epsilon, batch_size=500),
            attacks.ProjectedGradientDescent(
                classifier,
                eps=epsilon,
                eps_step=2.5 * epsilon / 20,
                max_iter=20,
                batch_size=500,
                verbose=False,
            ),
        ):
            moved = attack.generate(images, labels)
            theirs.append(100 * np.mean(classifier.predict(moved).argmax(axis=1) == labels))
    np.testing.assert_allclose(own(session, data), theirs, atol=TOLERANCE)


def test_torchattacks_agrees(session, data):
    torchattacks: Any = pytest.importorskip("torchattacks")
    images, labels = (torch.tensor(a) for a in data)
    module = session.to_torch()

    class Parts(torch.nn.Module):
        """The model on pixels in 0..1, which torchattacks takes."""

        def forward(self, x: Any) -> Any:
            return module(x * LARGEST)

    theirs = []
    for epsilon in EPSILONS:
        radius = epsilon / LARGEST
        for attack in (
            torchattacks.FGSM(Parts(), eps=radius),
            torchattacks.PGD(Parts(), eps=radius, alpha=2.5 * radius / 20, steps=20, random_start=False),
        ):
            moved = attack(images / LARGEST, labels)
            with torch.no_grad():
                right = Parts()(moved).argmax(dim=1) == labels
            theirs.append(100 * float(right.float().mean()))
    np.testing.assert_allclose(own(session, data), theirs, atol=TOLERANCE)
