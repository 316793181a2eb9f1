"""Help, version and misuse of the command line."""

import subprocess
import sys

import pytest

from sim_compress import compression
from sim_compress.cli import arguments, compress_options
from sim_compress.core.engines import engine_names
from sim_compress.core.solvers import NAMES
from sim_compress.model import VALUES
from tests.cli.networks import ENV

HEAVY = ("onnx", "onnxruntime", "numba", "scipy", "numpy", "rich", "PIL")


def loaded_by(*arguments: str) -> set[str]:
    """Heavy packages that a fresh interpreter has loaded after a command line."""
    script = (
        f"import sys\nfrom sim_compress.cli import main\nassert main({list(arguments)!r}) == 0\n"
        f"print('loaded', *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=ENV)
    return set(run.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("command", [(), ("inspect",), ("evaluate",), ("compare",), ("bench",), ("export",)])
def test_help_of_every_command_shows_its_usage(run, command):
    code, out, err = run(*command, "--help")
    assert code == 0
    assert out.startswith(f"usage: {' '.join(('sim-compress', *command))} ")
    assert err == ""


def test_the_help_names_the_other_commands(run):
    out = run("--help").out
    assert all(
        f"sim-compress {name}" in out for name in ("inspect", "evaluate", "compare", "bench", "export")
    )


def test_the_help_is_one_screen_of_what_people_use(run):
    out = run("--help").out
    assert out.count("\n") < 50
    assert max(map(len, out.splitlines())) <= 90
    shown = ("MODEL", "--target-sparsity", "--data", "--eval", "--max-drop", "--output", "--help-all")
    assert all(option in out for option in shown)
    assert "--kappa" not in out


def test_the_whole_help_shows_every_option_in_a_group(run):
    code, out, err = run("--help-all")
    assert (code, err) == (0, "")
    options = [name for a in arguments._compress()._actions for name in a.option_strings]
    assert all(f" {option}" in out for option in options)
    assert all(f"\n{title}:\n" in out for title, _ in arguments.GROUPS)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (("net.onnx", "--target-sparsty", "40"), "did you mean --target-sparsity?"),
        (("net.onnx", "--target-sparsty=40", "--evl", "a.npz"), "did you mean --target-sparsity, --eval?"),
        (("inspect", "net.sim.safetensors", "--jsn"), "did you mean --json?"),
    ],
)
def test_a_slip_in_an_option_is_answered_with_the_nearest(run, given, meant):
    code, out, err = run(*given)
    assert (code, out) == (2, "")
    assert meant in err


def test_an_option_like_no_other_is_answered_without_a_guess(run):
    assert "did you mean" not in run("net.onnx", "--target-sparsity", "40", "--zzz").err


def test_help_loads_nothing_heavy():
    assert loaded_by("--help") == set()


def test_inspect_and_evaluate_need_no_onnx(compressed):
    light = {"numpy", "scipy", "rich", "numba"}
    assert loaded_by("inspect", str(compressed)) <= light
    assert loaded_by("evaluate", "--data", "evaluation.npz", str(compressed)) <= light


def test_the_version_is_one_line(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("sim-compress ")
    assert out.count("\n") == 1


def test_the_package_runs_as_a_module():
    run = subprocess.run(
        [sys.executable, "-m", "sim_compress", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env=ENV,
    )
    assert run.stdout.startswith("sim-compress ")


def test_the_objectives_offered_are_those_the_library_knows():
    assert compress_options.OBJECTIVES == compression.OBJECTIVES
    assert compress_options.SUPPORTS == compression.SUPPORTS
    assert compress_options.STATES == compression.STATES
    assert compress_options.MATCHINGS == compression.MATCHINGS
    assert compress_options.ALLOCATIONS == compression.ALLOCATIONS
    assert compress_options.AUGMENTS == compression.AUGMENTS
    assert compress_options.UNSTRUCTURED == compression.UNSTRUCTURED
    assert list(compress_options.ENGINES) == list(engine_names())
    assert compress_options.SOLVERS == NAMES
    assert compress_options.VALUES == VALUES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "MODEL"),
        (("net.onnx", "--target-sparsity", "40", "--objective", "l2"), "choose from"),
        (("net.onnx", "--target-sparsity", "40", "--kappa", "much"), "--kappa"),
        (("net.onnx", "--target-sparsity", "40", "--seed", "-1"), "--seed"),
        (("net.onnx", "--target-sparsity", "40", "--mean", "a,b"), "--mean"),
        (("net.onnx", "--target-sparsity", "40", "--what"), "--what"),
        (("net.onnx", "--target", "40"), "--target"),
        (("inspect",), "FILE"),
        (("compare",), "FILE"),
        (("evaluate", "net.sim.safetensors"), "--data"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_error(run, arguments, words):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
    assert "--help" in err
