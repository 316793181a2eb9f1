"""A text exported for any length is read at a length that is given; shorter texts are padded to it."""

import numpy as np
import pytest

from sim_compress.frontend import load_teacher
from sim_compress.runtime import Session
from tests.frontend.exported.checks import BATCHES, assert_exact, expected
from tests.frontend.exported.exporting import DYNAMO, LEGACY, Exports, Way
from tests.frontend.exported.matrix import NEEDS_TORCH, NEEDS_TRANSFORMERS, cases
from tests.frontend.exported.subject import TOKENS
from tests.frontend.exported.texts import MODELS, text
from tests.frontend.graphs import assert_close

pytestmark = [NEEDS_TORCH, NEEDS_TRANSFORMERS]

# Longer than the texts that the files are exported from.
LENGTH = 12
SHORT = {name: text(name, masked=True) for name in MODELS}
PLAIN = {DYNAMO: ["llama"], LEGACY: MODELS}


@pytest.mark.parametrize(("name", "way"), cases(SHORT, (DYNAMO, LEGACY), PLAIN))
def test_a_free_length_is_fixed_and_a_shorter_text_is_padded_with_its_mask(
    exports: Exports, name: str, way: Way
) -> None:
    path = exports.file(name, SHORT[name], way, free_tokens=True)
    shapes = dict.fromkeys(SHORT[name].names(), (1, LENGTH))
    teacher = load_teacher(path, shapes)
    assert_exact(teacher, text(name, masked=True, tokens=LENGTH))

    session = Session(teacher.model)
    for samples in BATCHES:
        short = SHORT[name].drawn(samples, seed=samples)
        wanted = expected(path, SHORT[name], short)
        found = session.predict({n: np.pad(v, ((0, 0), (0, LENGTH - TOKENS))) for n, v in short.items()})
        for output, value in wanted.items():
            whole = found[output]
            assert_close(whole[:, :TOKENS] if whole.ndim == 3 else whole, value)
