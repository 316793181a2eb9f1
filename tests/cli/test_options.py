"""Every pair of options: both are followed, or one line says which is not; nothing is ignored in silence."""

from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import Settings, compress
from sim_compress.cli import arguments
from sim_compress.core import Convex
from sim_compress.errors import InputError
from tests.cli.networks import IMAGE, labels, two_ends
from tests.cli.spoiling import save_image_folder
from tests.frontend.graphs import graph_of, node, random

# Every option with what may be said by it, and how it is called in a pair.
OPTIONS: dict[str, tuple[str, ...]] = {
    "target": ("--target-sparsity", "50"),
    "target by name": ("--target-sparsity", "active=40"),
    "sweep": ("--sweep", "50"),
    "keep": ("--keep",),
    "max-drop": ("--max-drop", "1"),
    "input-shape": ("--input-shape", "1x1x6x6"),
    "ignore": ("--ignore", "scores"),
    "only": ("--only", "active"),
    "data": ("--data", "net.calibration.npz"),
    "eval": ("--eval", "evaluation.npz"),
    "labels": ("--labels", "labels.npy"),
    "mean": ("--mean", "0.5"),
    "std": ("--std", "0.5"),
    "objective": ("--objective", "perspective"),
    "kappa": ("--kappa", "0.9"),
    "support": ("--support", "full"),
    "states": ("--states", "baseline"),
    "states in order": ("--states", "regenerated"),
    "matching": ("--matching", "exact"),
    "allocation": ("--allocation", "output"),
    "nearest-rounds": ("--nearest-rounds", "1"),
    "augment": ("--augment", "mirror"),
    "tune": ("--tune", "1"),
    "solver": ("--solver", "native"),
    "N:M": ("--pattern", "2:4"),
    "channels": ("--pattern", "channels"),
    "values": ("--values", "float16"),
    "engine": ("--engine", "threads"),
    "memory": ("--memory", "100G"),
    "workers": ("--workers", "1"),
    "keep-run": ("--keep-run",),
    "fresh": ("--fresh",),
    "seed": ("--seed", "0"),
    "output": ("--output", "other.sim.safetensors"),
    "json": ("--json",),
}
# What contradicts something else, by itself or beside a target of 50 % on given arrays.
ALONE = {"keep", "mean", "std", "seed"}
TOGETHER = {frozenset(("keep", "sweep"))}
REFUSED = {
    frozenset(pair)
    for pair in [
        ("target", "sweep"),
        ("target", "max-drop"),
        ("sweep", "max-drop"),
        ("max-drop", "N:M"),
        ("target by name", "N:M"),
        ("target by name", "channels"),
        ("matching", "sweep"),
        ("matching", "max-drop"),
        ("matching", "states in order"),
        ("matching", "allocation"),
        ("matching", "nearest-rounds"),
        ("matching", "augment"),
        ("matching", "tune"),
        ("matching", "N:M"),
        ("matching", "channels"),
        ("support", "states in order"),
        ("support", "allocation"),
        ("support", "nearest-rounds"),
        ("support", "tune"),
        ("support", "channels"),
        ("states", "nearest-rounds"),
        ("N:M", "allocation"),
        ("channels", "allocation"),
        ("channels", "objective"),
        ("channels", "solver"),
        ("labels", "eval"),
    ]
}
IGNORED = "would be ignored"


def test_every_option_of_the_command_is_tried():
    parsers = [a for a in arguments._compress()._actions if a.option_strings]
    known = {o for a in parsers for o in a.option_strings if o.startswith("--")}
    assert known - {"--help", "--help-all", "--version", "--dry-run"} == {
        given[0] for given in OPTIONS.values()
    }


def job(*names: str) -> list[str]:
    """A dry run with some options; a target of 50 % where none of them says how far to go."""
    asked = [word for name in names for word in OPTIONS[name]]
    far = {"target", "sweep", "max-drop", "N:M"} & set(names)
    return ["net.onnx", *asked, *([] if far else OPTIONS["target"]), "--dry-run"]


def dense() -> onnx.ModelProto:
    """Rows that no position ties, for which every setting has a meaning."""
    nodes = [
        node("Flatten", ["images"], ["flat"]),
        node("Gemm", ["flat", "first"], ["hidden"], transB=1),
        node("Relu", ["hidden"], ["active"]),
        node("Gemm", ["active", "second"], ["scores"], transB=1),
    ]
    return graph_of(nodes, {"images": IMAGE}, {"first": random(20, 36), "second": random(3, 20)})


@pytest.mark.parametrize("first", OPTIONS)
def test_both_options_of_a_pair_are_followed_or_one_line_refuses(run, first):
    onnx.save(dense(), "net.onnx")
    np.save("labels.npy", labels())
    for second in list(OPTIONS)[list(OPTIONS).index(first) + 1 :]:
        if OPTIONS[first][0] == OPTIONS[second][0] and {first, second} != {"target", "target by name"}:
            continue
        pair = frozenset((first, second))
        refused = pair not in TOGETHER and (bool(pair & ALONE) or pair in REFUSED)
        code, out, err = run(*job(*sorted(pair)))
        assert (code == 2) == refused, (pair, err)
        if refused:
            assert (out, err.count("error: ")) == ("", 1)
            assert err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--matching", "exact", "--allocation", "output"), "--allocation output would be ignored: exact"),
        (("--matching", "exact", "--states", "regenerated"), "--states regenerated would be ignored: exact"),
        (("--matching", "exact", "--augment", "mirror"), "--augment mirror would be ignored: exact"),
        (("--states", "baseline", "--nearest-rounds", "2"), "--nearest-rounds 2 would be ignored: targets"),
        (("--support", "full", "--allocation", "uniform"), "--allocation uniform would be ignored: full"),
        (("--pattern", "2:4", "--allocation", "alpha"), "--allocation alpha would be ignored: the pattern"),
        (
            ("--pattern", "channels", "--solver", "clarabel"),
            "--solver clarabel would be ignored: rows of whole",
        ),
        (("--pattern", "channels", "--objective", "l1"), "--objective l1 would be ignored: rows of whole"),
        (("--seed", "0"), "--seed is that of made-up inputs, and there are calibration data"),
        (("--workers", "0"), "argument --workers: invalid positive value: '0'"),
        (("--engine", "serial"), "--engine serial: expected threads, processes, ray or ray://HOST:PORT"),
        (("--engine", "ray://"), "--engine ray://: expected threads, processes, ray or ray://HOST:PORT"),
        (("--keep",), "--keep needs --sweep"),
    ],
)
def test_an_ignored_option_is_refused_with_the_reason_before_the_network_is_read(run, options, message):
    Path("net.onnx").write_text("no network")
    code, out, err = run("net.onnx", "--target-sparsity", 50, *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--matching", "exact", "--states", "baseline"),
        ("--matching", "exact", "--augment", "none"),
        ("--matching", "exact", "--nearest-rounds", "0"),
        ("--matching", "exact", "--tune", "0"),
        ("--states", "baseline", "--nearest-rounds", "0"),
    ],
)
def test_an_option_that_says_what_is_done_anyway_is_no_contradiction(run, options):
    assert run("net.onnx", "--target-sparsity", 50, *options, "--dry-run").code == 0


def test_options_of_made_up_inputs_go_with_made_up_inputs(run):
    Path("net.calibration.npz").unlink()
    assert run("net.onnx", "--target-sparsity", 50, "--seed", 3, "--mean", "0.5", "--dry-run").code == 0
    np.save("labels.npy", labels(512))
    code, _, err = run("net.onnx", "--target-sparsity", 50, "--labels", "labels.npy", "--dry-run")
    assert (code, err.count("\n")) == (2, 1)
    assert "--labels belong to inputs, and those of this run are made up" in err
    onnx.save(two_ends(), "two.onnx")
    code, _, err = run("two.onnx", "--target-sparsity", 50, "--mean", "0.5", "--dry-run")
    assert code == 2
    assert "--mean and --std are for pixels" in err


def test_pixels_to_evaluate_on_may_be_scaled_where_the_calibration_data_are_arrays(run):
    save_image_folder()
    Path("photos/broken.png").unlink()
    options = ("--eval", "photos", "--mean", "0.5", "--dry-run")
    assert run("net.onnx", "--target-sparsity", 50, *options).code == 0


def test_shapes_for_a_network_need_the_network(run, compressed):
    command = ("evaluate", compressed, "--data", "evaluation.npz", "--input-shape", "1x1x6x6")
    code, _, err = run(*command)
    assert (code, err) == (
        2,
        "error: --input-shape is for the network of --against: give both, or leave it out\n",
    )
    assert run(*command, "--against", "net.onnx").code == 0


@pytest.mark.parametrize(
    ("first", "second"),
    list(
        combinations(
            [
                {"matching": "exact"},
                {"support": "full"},
                {"states": "baseline"},
                {"pattern": "channels"},
                {"pattern": "2:4"},
                {"allocation": "uniform"},
                {"nearest_rounds": 2},
                {"objective": "l1"},
                {"solver": "clarabel"},
                {"values": "float16"},
                {"augment": "none"},
                {"kappa": 0.9},
            ],
            2,
        )
    ),
    ids=str,
)
def test_the_library_refuses_settings_that_would_be_ignored_alike(first, second):
    pair = {next(iter(first.values())), next(iter(second.values()))}
    ignored = [
        {"exact", "uniform"},
        {"exact", 2},
        {"full", "uniform"},
        {"full", 2},
        {"baseline", 2},
        {"channels", "uniform"},
        {"channels", "l1"},
        {"channels", "clarabel"},
        {"2:4", "uniform"},
    ]
    contradicting = [{"exact", "channels"}, {"exact", "2:4"}, {"full", "channels"}]
    if first.keys() == second.keys():
        return
    if pair in ignored:
        with pytest.raises(InputError, match=IGNORED):
            Settings(0.5, **first, **second)
    elif pair in contradicting:
        with pytest.raises(InputError):
            Settings(0.5, **first, **second)
    else:
        Settings(0.5, **first, **second)


@pytest.mark.parametrize("ignored", [{"allocation": "uniform"}, {"nearest_rounds": 1}, {"objective": "l1"}])
def test_settings_that_a_convex_f_of_ones_own_leaves_no_say_are_refused(folder, ignored):
    convex = Convex(lambda v: v[0])
    settings = Settings(0.5, solver="clarabel", **ignored)
    with pytest.raises(InputError, match=IGNORED):
        compress(folder / "net.onnx", np.zeros((2, 1, 6, 6), np.float32), settings, convex=convex)
