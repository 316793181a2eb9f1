"""What an exported graph keeps of the network that its model came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx

from sim_compress.errors import InputError

# The oldest operator set that exporters are written for, and that of models whose source is not known.
OLDEST_OPSET, OPSET = 13, 20
BATCH = "N"


@dataclass(frozen=True)
class Source:
    """The network's own words.

    Attributes:
        opset: version of the standard operator set.
        batch: name of the batch axis.
        doc_string: of the model.
        metadata_props: of the model.
    """

    opset: int = OPSET
    batch: str = BATCH
    doc_string: str = ""
    metadata_props: Mapping[str, str] = field(default_factory=dict)


# The entries of provenance.source, and what each must be.
ENTRIES: Mapping[str, tuple[type, str]] = {
    "opset": (int, "a whole number"),
    "batch": (str, "text"),
    "doc_string": (str, "text"),
    "metadata_props": (Mapping, "texts by name"),
}


def source_of(provenance: Mapping[str, Any], opset: int | None = None) -> Source:
    """What provenance says of the source, with the operator set that is asked for, if any.

    A source older than the exporters or newer than onnx knows gives the nearest operator set.

    Raises:
        InputError: the operator set asked for is none of those, or an entry is not what it should be.
    """
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not OLDEST_OPSET <= opset <= newest:
        raise InputError(f"--opset {opset}: expected {OLDEST_OPSET} to {newest}, which this onnx knows")
    entries = provenance.get("source", {})
    if not isinstance(entries, Mapping):
        raise InputError(f"provenance.source: expected an object, found {entries!r:.80}")
    found = {key: _checked(entries[key], key) for key in ENTRIES if key in entries}
    own = min(max(found.get("opset", OPSET), OLDEST_OPSET), newest)
    return Source(**{**found, "opset": opset or own})


def _checked(value: Any, key: str) -> Any:
    kind, words = ENTRIES[key]
    texts = [text for pair in value.items() for text in pair] if isinstance(value, Mapping) else []
    if not isinstance(value, kind) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"provenance.source.{key}: expected {words}, found {value!r:.80}")
    return value
