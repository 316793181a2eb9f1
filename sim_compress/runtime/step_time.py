"""What a part of a call costs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepTime:
    """One block or output, or the copies in and out, on one chunk of samples.

    Attributes:
        name: of the block or output; "inputs" and "outputs" are the copies at both ends.
        how: what runs it: names of the compiled operations, or numpy.
        seconds: best of some rounds, on one thread.
        products: multiplications with nonzeros.
        bytes: weights and values that are read or written, each once.
    """

    name: str
    how: str
    seconds: float
    products: int
    bytes: int

    @property
    def gflops(self) -> float:
        """Billions of multiplications and additions with nonzeros in a second."""
        return 2e-9 * self.products / self.seconds if self.seconds else 0.0

    @property
    def by_numpy(self) -> bool:
        """Whether it is not compiled."""
        return "numpy" in self.how
