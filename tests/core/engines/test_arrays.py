"""Shared arrays: what is stored is what is mapped, read-only, without a name."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sim_compress.core.engines.arrays import opened, readable, stored
from sim_compress.errors import InputError, SolverError

ARRAYS = st.dictionaries(
    st.text(max_size=3),
    st.builds(
        lambda array, turned: array.T if turned else array,
        hnp.arrays(
            st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_, ">f8"]),
            hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
        ),
        st.booleans(),
    ),
    max_size=4,
)


@given(ARRAYS)
@settings(deadline=None, max_examples=40)
def test_mapped_arrays_equal_the_readable_ones_in_values_and_layout(arrays):
    expected = readable(arrays)
    with stored(arrays) as held:
        mapped = opened(os.dup(held.descriptor), held.places)
    assert list(mapped) == list(expected)
    for name, array in expected.items():
        assert mapped[name].dtype == array.dtype
        assert mapped[name].shape == array.shape
        assert mapped[name].strides == array.strides
        assert mapped[name].tobytes("A") == array.tobytes("A")


def test_mapped_arrays_cannot_be_made_writeable():
    with stored({"H": np.ones(3)}) as held:
        mapped = opened(os.dup(held.descriptor), held.places)
    with pytest.raises(ValueError, match="WRITEABLE"):
        mapped["H"].flags.writeable = True


def test_readable_arrays_are_views_that_leave_the_callers_array_writeable():
    H = np.ones((3, 3))
    view = readable({"H": H})["H"]
    assert np.shares_memory(view, H)
    assert not view.flags.writeable
    assert H.flags.writeable


def test_the_file_of_the_arrays_has_no_name_to_leave_behind():
    with stored({"H": np.ones(3)}) as held:
        assert os.fstat(held.descriptor).st_nlink == 0


def test_an_array_of_python_objects_is_refused_by_name():
    with pytest.raises(InputError, match="'names' holds Python objects"), stored({"names": np.array([{}])}):
        pass


def test_no_room_for_the_arrays_is_a_named_error(monkeypatch):
    full = "/dev/full"
    if not Path(full).exists():
        pytest.skip("this system has no device that is always full")
    # Unbuffered, so that closing it has nothing left to write.
    unbuffered = partial(Path(full).open, "wb", 0)
    monkeypatch.setattr("sim_compress.core.engines.arrays._nameless_file", unbuffered)
    with (
        pytest.raises(SolverError, match=r"of 8 MiB .* \(No space left on device\)"),
        stored({"H": np.ones(2**20)}),
    ):
        pass
