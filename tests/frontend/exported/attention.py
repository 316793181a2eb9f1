"""torch's own attention, with every kind of mask.

nn.MultiheadAttention, nn.TransformerEncoder and scaled_dot_product_attention.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tests.frontend.exported.subject import FEATURES, HEADS, TOKENS, Given, Subject, normal, padding

WIDE = 64


def causal() -> Any:
    """-inf above the diagonal, as torch.nn.Transformer gives it."""
    import torch

    return torch.nn.Transformer.generate_square_subsequent_mask(TOKENS)


def later() -> Any:
    """True where a token stands later: it is not looked at."""
    return causal() < 0


def bias() -> Any:
    """Finite numbers that are added to the scores."""
    import torch

    return torch.from_numpy(np.random.default_rng(5).standard_normal((TOKENS, TOKENS)).astype(np.float32))


MASKS: dict[str, Callable[[], Any]] = {"bool": later, "inf": causal, "float": bias}


def _multihead(batch_first: bool, mask: str | None, options: dict[str, Any]) -> Any:
    import torch

    class Multihead(torch.nn.Module):
        """Self-attention; what is padded is an input, other masks are constants."""

        def __init__(self) -> None:
            super().__init__()
            self.attention = torch.nn.MultiheadAttention(FEATURES, HEADS, batch_first=batch_first)
            self.register_buffer("mask", MASKS[mask]() if mask else None)

        def forward(self, x, padded=None):
            found, weights = self.attention(
                x, x, x, key_padding_mask=padded, attn_mask=self.mask, **{"need_weights": False, **options}
            )
            return found if weights is None else (found, weights)

    return Multihead()


def _encoder(norm_first: bool, batch_first: bool, mask: str | None, options: dict[str, Any]) -> Any:
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = torch.nn.TransformerEncoderLayer(
                FEATURES,
                HEADS,
                WIDE,
                activation="gelu" if norm_first else "relu",
                batch_first=batch_first,
                norm_first=norm_first,
            )
            self.encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.register_buffer("mask", MASKS[mask]() if mask else None)

        def forward(self, x, padded=None):
            return self.encoder(x, self.mask, padded, **options)

    return Encoder()


def _scaled(heads: int, mask: str | None, options: dict[str, Any]) -> Any:
    import torch

    class Scaled(torch.nn.Module):
        """Attention as it is written by hand; `heads` of keys and values serve all of the queries."""

        def __init__(self) -> None:
            super().__init__()
            self.size = FEATURES // HEADS
            self.queries = torch.nn.Linear(FEATURES, FEATURES)
            self.keys = torch.nn.Linear(FEATURES, heads * self.size)
            self.values = torch.nn.Linear(FEATURES, heads * self.size)
            self.last = torch.nn.Linear(FEATURES, FEATURES)
            self.register_buffer("mask", MASKS[mask]() if mask else None)

        def split(self, x):
            return x.unflatten(-1, (-1, self.size)).transpose(1, 2)

        def forward(self, x):
            queries, keys, values = map(self.split, (self.queries(x), self.keys(x), self.values(x)))
            # Masks of truth values say here what is looked at.
            mask: Any = self.mask
            mask = ~mask if mask is not None and mask.dtype is torch.bool else mask
            found = torch.nn.functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, enable_gqa=heads < HEADS, **options
            )
            return self.last(found.transpose(1, 2).flatten(2))

    return Scaled()


def _tokens(make: Callable[[], Any], batch_first: bool, padded: bool, outputs: Sequence[str]) -> Subject:
    """Vectors of tokens, and where they are padded; weights of attention have the batch first in any case."""
    axis = 0 if batch_first else 1
    inputs = [Given("x", normal(TOKENS, FEATURES, batch_axis=axis), axis)]
    if padded:
        inputs.append(Given("padded", padding()))
    return Subject(make, tuple(inputs), {name: 0 if name == "weights" else axis for name in outputs})


# name: whether padding is an input, the constant mask, options of forward
VARIANTS: dict[str, tuple[bool, str | None, dict[str, Any]]] = {
    "plain": (False, None, {}),
    "padded": (True, None, {}),
    "bool": (False, "bool", {}),
    "inf": (False, "inf", {}),
    "float": (False, "float", {}),
    "padded_bool": (True, "bool", {}),
    "causal": (False, "inf", {"is_causal": True}),
}


def _multiheads() -> dict[str, Subject]:
    found = {}
    for order, batch_first in {"bf": True, "tf": False}.items():
        for name, (padded, mask, options) in VARIANTS.items():
            make = partial(_multihead, batch_first, mask, options)
            found[f"mha_{order}_{name}"] = _tokens(make, batch_first, padded, ["output"])
        make = partial(_multihead, batch_first, None, {"need_weights": True})
        found[f"mha_{order}_weights"] = _tokens(make, batch_first, True, ["output", "weights"])
    return found


def _encoders() -> dict[str, Subject]:
    # Without a word on it torch looks whether a mask is causal, which its exporter cannot follow.
    said = {"is_causal": False}
    return {
        f"encoder_{norm}_{order}_{name}": _tokens(
            partial(_encoder, norm == "pre", order == "bf", mask, {**said, **options}),
            order == "bf",
            padded,
            ["output"],
        )
        for norm in ("post", "pre")
        for order in ("bf", "tf")
        for name, (padded, mask, options) in VARIANTS.items()
    }


def _scaleds() -> dict[str, Subject]:
    masks = {
        name: (mask, {}) for name, (padded, mask, options) in VARIANTS.items() if not padded and not options
    }
    return {
        f"{name}_{mask_name}": _tokens(partial(_scaled, heads, mask, options), True, False, ["output"])
        for name, heads in {"scaled": HEADS, "grouped": 2}.items()
        for mask_name, (mask, options) in {**masks, "causal": (None, {"is_causal": True})}.items()
    }


# torch's legacy exporter does not share heads of keys and values.
NO_LEGACY = {name for name in _scaleds() if name.startswith("grouped")}
ATTENTIONS = {**_multiheads(), **_encoders(), **_scaleds()}
