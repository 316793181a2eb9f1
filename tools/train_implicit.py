# pyright: reportMissingImports=false
"""Train a small dense implicit model on Fashion-MNIST and write it as an artifact.

usage: PYTHONPATH=tools python tools/train_implicit.py [--data DIR] [--epochs N] [--out FILE]

X = relu(A X + B U), Y = C X + D U with dense A (a loop), |A|_inf <= 0.9 by projection after every step
(El Ghaoui et al. 2021), gradients through the unrolled iteration. Needs the torch extra.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from fashion_mnist import DEBIAN, load_split
from torch import Tensor, nn

from sim_compress.activations import Activation
from sim_compress.artifact import write
from sim_compress.certificate import certify
from sim_compress.model import from_matrices
from sim_compress.runtime import Session

STATES = 64
NORM = 0.9
ITERATIONS = 25
SEED = 0


class ImplicitLayer(nn.Module):
    """The equilibrium by a fixed number of Picard steps, from pixels in 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.A = nn.Parameter(0.05 * torch.randn(STATES, STATES))
        self.B = nn.Linear(784, STATES)
        self.C = nn.Linear(STATES, 10)
        self.D = nn.Parameter(torch.zeros(10, 784))

    def forward(self, images: Tensor) -> Tensor:
        u = images / 255
        fed = self.B(u)
        x = torch.relu(fed)
        for _ in range(ITERATIONS):
            x = torch.relu(x @ self.A.T + fed)
        return self.C(x) + u @ self.D.T

    @torch.no_grad()
    def project(self) -> None:
        """Scale every row of A back to the norm that makes the equilibrium unique."""
        sums = self.A.abs().sum(dim=1, keepdim=True)
        self.A.mul_(torch.clamp(NORM / sums, max=1))


def train(images: Tensor, labels: Tensor, epochs: int) -> ImplicitLayer:
    """Adam with a cosine rate."""
    torch.manual_seed(SEED)
    module, batch = ImplicitLayer(), 256
    optimizer = torch.optim.AdamW(module.parameters(), 2e-3, weight_decay=1e-3)
    steps = len(images) // batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    for epoch in range(epochs):
        order, total = torch.randperm(len(images)), 0.0
        for step in range(steps):
            pick = order[step * batch : (step + 1) * batch]
            loss = nn.functional.cross_entropy(module(images[pick].float()), labels[pick].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            module.project()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}", flush=True)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--data", type=Path, default=DEBIAN)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("models/fashion_implicit.sim.safetensors"))
    args = parser.parse_args()
    images, labels = (torch.tensor(a) for a in load_split(args.data, "train"))
    module = train(images.flatten(1), labels, args.epochs)
    with torch.no_grad():
        A, B, C, D = (p.numpy() for p in (module.A, module.B.weight, module.C.weight, module.D))
        bias, output_bias = module.B.bias.numpy(), module.C.bias.numpy()
    # The pixels' scale belongs to the columns that meet them.
    model = from_matrices(A, B / 255, C, D / 255, Activation("relu"), bias=bias, output_bias=output_bias)
    write(args.out, model, certify(model), {"made by": "tools/train_implicit.py", "seed": SEED})
    test, truth = load_split(args.data, "t10k")
    scores = Session(model)(test.reshape(len(test), -1))
    print(f"{args.out}: {100 * float(np.mean(scores.argmax(1) == truth)):.2f} %")


if __name__ == "__main__":
    main()
