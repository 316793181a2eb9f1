"""What is done where nobody asks for a number: tuning where it can be afforded, else moved targets."""

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.artifact import write
from sim_compress.certificate import certify
from sim_compress.compression.prepared import Prepared, prepared
from sim_compress.compression.tuning import effort
from sim_compress.compression.tuning.effort import EPOCHS, NEAREST_ROUNDS, most_epochs, nearest_rounds
from tests.networks import loop

CALIBRATION = 64


@pytest.fixture(scope="module")
def ready(teacher, images) -> Prepared:
    return prepared(teacher, images[:CALIBRATION], Settings(0.9))


def test_a_small_network_is_tuned_without_being_asked(teacher, images):
    found = compress(teacher, images[:CALIBRATION], Settings(0.9)).tuning
    assert 1 <= found.epochs <= EPOCHS
    assert (found.after or 0) < (found.before or 0)


def test_what_is_nearly_right_is_tuned_less(teacher, images):
    sparse, dense = (compress(teacher, images[:CALIBRATION], Settings(s)).tuning for s in (0.9, 0.3))
    assert dense.epochs < sparse.epochs


def test_epochs_are_those_that_can_be_afforded(ready, monkeypatch):
    assert most_epochs(ready, Settings(0.9)) == EPOCHS
    monkeypatch.setattr(effort, "MULTIPLICATIONS", effort.MULTIPLICATIONS / 1e6)
    assert most_epochs(ready, Settings(0.9)) == 0
    assert most_epochs(ready, Settings(0.9, tune=5)) == 5


def test_more_is_afforded_for_a_sparser_model(ready, monkeypatch):
    monkeypatch.setattr(effort, "EPOCHS", 10**9)
    assert most_epochs(ready, Settings(0.9)) > most_epochs(ready, Settings(0.1))


def test_states_that_take_much_memory_are_not_tuned(ready, monkeypatch):
    monkeypatch.setattr("sim_compress.states.batches.BATCH_BYTES", 10_000)
    assert most_epochs(ready, Settings(0.9)) == 0


@pytest.mark.parametrize("asked", [{"states": "baseline"}, {"support": "full"}, {"matching": "exact"}])
def test_the_method_as_printed_is_not_tuned(teacher, images, asked):
    settings = Settings(0.9, **asked)
    assert most_epochs(prepared(teacher, images[:CALIBRATION], settings), settings) == 0


def test_targets_move_where_that_is_cheap_or_values_are_not_tuned(ready, monkeypatch):
    assert nearest_rounds(ready, Settings(0.5), 1) == NEAREST_ROUNDS
    monkeypatch.setattr(effort, "NEAREST_MULTIPLICATIONS", effort.NEAREST_MULTIPLICATIONS / 1e6)
    assert nearest_rounds(ready, Settings(0.5), 1) == 0
    assert nearest_rounds(ready, Settings(0.5), 0) == NEAREST_ROUNDS
    assert nearest_rounds(ready, Settings(0.5, nearest_rounds=3), 1) == 3


def test_a_loop_is_compressed_without_tuning(tmp_path):
    model = loop()
    write(tmp_path / "loop.sim.safetensors", model, certify(model), {})
    inputs = np.random.default_rng(0).standard_normal((16, 3))
    found = compress(tmp_path / "loop.sim.safetensors", inputs, Settings(0.3))
    assert found.tuning.epochs == 0
    assert "tuning" not in found.provenance
