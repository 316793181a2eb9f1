"""A small model for every phi and its attributes, with inputs from where phi is smooth and defined."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from sim_compress.activations import KINDS, Activation
from sim_compress.model import Affine, ImplicitModel, Input, Output, Pad, Reshape, Shape, StateBlock, Term
from tests.export.test_phis import PARTS, SHAPE, attributes, inputs


def every_phi() -> list[Any]:
    """Parameters (name, attributes) with readable ids."""
    return list(_every_phi())


def _every_phi() -> Iterator[Any]:
    for name in KINDS:
        several = "parts" in KINDS[name].attributes
        cases = [{"parts": PARTS.get(name, ((2, 3, 4), (3, 1)))}] if several else attributes(name)
        yield from (pytest.param(name, a, id=f"{name}-{number}") for number, a in enumerate(cases))


def phi_model(name: str, a: dict[str, Any], *, weighted: bool) -> tuple[ImplicitModel, dict[str, np.ndarray]]:
    """u -> phi -> y, with weights that keep the sign in front of phi or none; and inputs for it."""
    parts = a.get("parts", (SHAPE,))
    sizes = [int(np.prod(part)) for part in parts]
    shape: Shape = SHAPE if "parts" not in a else (sum(sizes),)
    weight = sparse.csr_array(np.eye(shape[0], dtype=np.float32)) if weighted else None
    terms, before = [], 0
    for number, size in enumerate(sizes):
        flat = (Reshape((size,)), Pad((before,), (sum(sizes) - before - size,)))
        terms.append(Term(f"u{number}", flat if "parts" in a else (), weight))
        before += size
    block = StateBlock("x", Affine(shape, tuple(terms)), Activation(name, a))
    named = {f"u{number}": part for number, part in enumerate(parts)}
    model = ImplicitModel(
        tuple(Input(n, s) for n, s in named.items()),
        (block,),
        (Output("y", Affine(block.shape, (Term("x"),))),),
    )
    # Parts that are not the same numbers: there comparisons and remainders jump.
    scales = (np.float32(1 + 0.3 * number) for number in range(len(named)))
    return model, {n: inputs(name, s) * scale for (n, s), scale in zip(named.items(), scales, strict=True)}
