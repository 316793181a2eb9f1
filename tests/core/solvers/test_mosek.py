"""MOSEK's licence is tried before any work: one line says why it cannot be used, whatever is wrong."""

import importlib.util
import sys
from pathlib import Path

import cvxpy as cp
import pytest

from sim_compress.core import L1, solver
from sim_compress.core.solvers import mosek
from sim_compress.core.solvers.backends import BACKENDS
from sim_compress.errors import SolverError
from tests.core.problems import row_problems

INSTEAD = "use the solver 'clarabel' or 'native'"
# As of MOSEK 11.2, whose errors pass through cvxpy.
REASONS = {
    "garbage": "rescode.err_flexlm(1014): The license manager: 'Invalid license file syntax.\\nFeature: PTS",
    "no answer": "rescode.err_license_cannot_connect(1021): MOSEK cannot connect to the license server.\\n",
    "older": "rescode.err_license_version(1002): The license is valid for another version of MOSEK.",
}
# What cvxpy asks of the package before it has a task is anything.
PACKAGE = """\
from unittest.mock import MagicMock

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return MagicMock()

class Error(Exception):
    pass

class Env:
    pass

class Task:
    def __init__(self, *_):
        {action}
"""


@pytest.fixture(autouse=True)
def no_licence(monkeypatch, tmp_path) -> None:
    """A home without a licence, and nothing tried before."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv(mosek.LICENCE_VARIABLE, raising=False)
    mosek._tried.cache_clear()


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Installs a package `mosek` whose tasks do as told."""

    def put(action: str) -> None:
        (tmp_path / "packages" / "mosek").mkdir(parents=True)
        (tmp_path / "packages" / "mosek" / "__init__.py").write_text(PACKAGE.format(action=action))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))
        monkeypatch.delitem(sys.modules, "mosek", raising=False)

    return put


@pytest.fixture
def licence(monkeypatch, tmp_path) -> Path:
    """A licence file that the variable names."""
    path = tmp_path / "mosek.lic"
    path.write_text("as MOSEK likes it")
    monkeypatch.setenv(mosek.LICENCE_VARIABLE, str(path))
    return path


def test_without_the_package_the_command_to_install_it_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mosek" else found(name, *rest)
    )
    with pytest.raises(SolverError, match=rf"pip install 'sim-compress\[mosek\]'.*{INSTEAD}"):
        solver("mosek")


@pytest.mark.parametrize("place", [None, "nowhere.lic"])
def test_without_a_licence_the_places_are_named(monkeypatch, install, place):
    install("raise SystemExit('tried without a licence')")
    if place:
        monkeypatch.setenv(mosek.LICENCE_VARIABLE, place)
    looked = rf"no licence; .*{mosek.LICENCE_VARIABLE} \({place or 'not set'}\) and .*mosek\.lic; {INSTEAD}"
    with pytest.raises(SolverError, match=looked):
        solver("mosek")


@pytest.mark.parametrize("why", REASONS)
def test_a_licence_that_mosek_refuses_is_one_line_with_its_reason(install, licence, why):
    install(f"raise Error({REASONS[why]!r})")
    with pytest.raises(SolverError) as refused:
        solver("mosek")
    text = str(refused.value)
    assert text.startswith(f"MOSEK cannot be used: {' '.join(REASONS[why].split())}; licences: ")
    assert str(licence) in text
    assert text.endswith(INSTEAD)
    assert "\n" not in text


def test_a_server_that_never_answers_is_waited_for_so_long_and_no_longer(monkeypatch, install):
    install("import time; time.sleep(60)")
    monkeypatch.setenv(mosek.LICENCE_VARIABLE, "27000@server")
    monkeypatch.setattr(mosek, "PATIENCE", 0.1)
    with pytest.raises(SolverError, match=r"server did not answer within 0\.1 s; .*27000@server"):
        solver("mosek")


@pytest.mark.parametrize("place", ["27000@server", None], ids=["server", "home"])
def test_a_licence_that_mosek_takes_is_tried_once(monkeypatch, tmp_path, install, place):
    install("pass")
    monkeypatch.setattr(mosek, "TRIAL", f"open({str(tmp_path / 'trials')!r}, 'a').write('x')")
    if place:
        monkeypatch.setenv(mosek.LICENCE_VARIABLE, place)
    else:
        (tmp_path / "home" / "mosek").mkdir(parents=True)
        (tmp_path / "home" / "mosek" / "mosek.lic").touch()
    assert solver("mosek").name == solver("mosek").name == "mosek"
    assert (tmp_path / "trials").read_text() == "x"


@pytest.mark.usefixtures("licence")
def test_a_licence_that_ends_in_the_middle_of_a_run_is_one_line(monkeypatch, install):
    install("pass")
    monkeypatch.setattr(mosek, "_tried", lambda *_: None)
    found = solver("mosek")

    def gone(*_: object, **__: object) -> None:
        (kind,) = BACKENDS["mosek"].errors()
        raise kind("the licence server\nis gone")

    monkeypatch.setattr(cp.Problem, "solve", gone)
    with pytest.raises(SolverError, match=rf"MOSEK stopped .*: the licence server is gone; {INSTEAD}"):
        found.solve(row_problems(rows=1), L1, 0.1)
