"""Where compiled code is kept: the first folder that can be written and that nobody else can."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from numba.core import config

from sim_compress.compilation import folders
from sim_compress.compilation.folders import _is_own
from tests.compilation.recording import recorded

PACKAGE = Path(__file__).parents[2] / "sim_compress"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders as Linux names them")
root = pytest.mark.skipif(getattr(os, "getuid", int)() != 0 or os.name != "posix", reason="not run by root")


def block(path: Path) -> None:
    """A file where a folder would be: root cannot write there either."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


def place(kernel) -> Path | None:
    return Path(kernel.stats.cache_path) if kernel.stats.cache_path else None


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def test_code_is_kept_beside_the_source(tiny):
    assert place(tiny.start()) == tiny.folder / "__pycache__"


@linux
def test_where_the_package_cannot_be_written_the_users_cache_is_used(tiny, tmp_path):
    block(tiny.folder / "__pycache__")
    with recorded() as lines:
        kernel = tiny.start()
        assert (kernel(2), kernel(2.5)) == (6, 7.5)
    found = place(kernel)
    assert found is not None
    assert found.parent == tmp_path / "cache" / "sim-compress"
    assert found.stat().st_mode & 0o777 == 0o700
    refused = tiny.folder / "__pycache__"
    assert lines == [f"{refused} cannot be written: compiled code is kept in {found}"]
    with recorded() as lines:
        again = tiny.start()
        assert (again(2), sum(again.stats.cache_hits.values())) == (6, 1)
    assert lines == [], "who has compiled code need not know where it lies"


@linux
@pytest.mark.parametrize("home", ["blocked", "relative", "of another", "shared"])
def test_where_the_users_cache_is_no_place_it_is_temporary(tiny, tmp_path, temporary, monkeypatch, home):
    block(tiny.folder / "__pycache__")
    cache = tmp_path / "cache"
    if home == "blocked":
        block(cache)
    elif home == "relative":
        monkeypatch.setenv("XDG_CACHE_HOME", "~/.cache")
    elif home == "shared":
        (cache / "sim-compress").mkdir(parents=True)
        (cache / "sim-compress").chmod(0o777)
    else:
        (tmp_path / "elsewhere").mkdir()
        cache.mkdir()
        (cache / "sim-compress").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    kernel = tiny.start()
    assert kernel(2) == 6
    found = place(kernel)
    assert found is not None
    assert found.parent == temporary / f"sim-compress-{os.getuid()}"
    assert found.parent.stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "~").exists()


@linux
@pytest.mark.parametrize("taken", ["link", "open to all", "file"])
def test_a_temporary_folder_that_somebody_else_may_have_made_is_left(tiny, tmp_path, temporary, taken):
    block(tiny.folder / "__pycache__")
    block(tmp_path / "cache")
    own = temporary / f"sim-compress-{os.getuid()}"
    if taken == "link":
        (tmp_path / "elsewhere").mkdir()
        own.symlink_to(tmp_path / "elsewhere")
    elif taken == "file":
        block(own)
    else:
        own.mkdir()
        own.chmod(0o777)
    kernel = tiny.start()
    assert (kernel(2), place(kernel)) == (6, None)


@linux
def test_where_nothing_can_be_written_it_still_runs(tiny, tmp_path, monkeypatch):
    block(tiny.folder / "__pycache__")
    block(tmp_path / "cache")

    def none():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(folders.tempfile, "gettempdir", none)
    with recorded() as lines:
        kernel = tiny.start()
        assert (kernel(2), kernel(2.5), place(kernel)) == (6, 7.5, None)
    (line,) = lines
    assert str(tiny.folder / "__pycache__") in line
    assert "every process compiles it again" in line
    assert "NUMBA_CACHE_DIR" in line


@linux
def test_the_working_directory_is_no_temporary_folder(tiny, tmp_path, monkeypatch):
    block(tiny.folder / "__pycache__")
    block(tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert place(tiny.start()) is None


def test_numbas_own_setting_comes_first(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "not" / "there" / "yet"))
    kernel = tiny.start()
    assert kernel(2) == 6
    assert list((tmp_path / "not" / "there" / "yet").rglob("*.nbc"))
    assert tiny.entries == []


def test_a_relative_setting_means_where_the_process_began(tiny, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(config, "CACHE_DIR", "compiled")
    monkeypatch.chdir(tmp_path)
    kernel = tiny.start()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert kernel(2) == 6
    assert list((tmp_path / "compiled").rglob("*.nbc"))


def test_a_setting_that_cannot_be_used_is_named(tiny, tmp_path, monkeypatch):
    block(tmp_path / "file")
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "file"))
    with recorded() as lines:
        kernel = tiny.start()
        assert (kernel(2), kernel(2.5)) == (6, 7.5)
    assert place(kernel) == tiny.folder / "__pycache__"
    (line,) = lines
    assert f"NUMBA_CACHE_DIR={tmp_path / 'file'}" in line
    assert str(tiny.folder / "__pycache__") in line


def test_what_an_administrator_compiled_serves_who_cannot_write_there(tiny, monkeypatch):
    assert tiny.start()(2) == 6
    beside = tiny.folder / "__pycache__"
    can_be_written = folders._can_be_written
    monkeypatch.setattr(folders, "_can_be_written", lambda p, own: p != beside and can_be_written(p, own))
    kernel = tiny.start()
    assert (kernel(2), sum(kernel.stats.cache_hits.values())) == (6, 1)
    assert kernel(2.5) == 7.5
    assert place(kernel) not in (None, beside)
    assert len(tiny.entries) == 1


@root
def test_a_folder_of_another_user_is_not_ones_own(tmp_path):
    assert _is_own(tmp_path)
    os.chown(tmp_path, 65534, 65534)
    assert not _is_own(tmp_path)


IMPORTED = """
from pathlib import Path
import sim_compress
from sim_compress import compress
from sim_compress.compilation.folders import folders
print(folders(Path(sim_compress.__file__).parent).writable)
"""


@root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
@pytest.mark.parametrize("home", [None, "/nonexistent", "/root"])
def test_installed_by_root_it_works_for_a_user_without_a_home(home):
    with tempfile.TemporaryDirectory() as folder:
        site, temporary = Path(folder, "site"), Path(folder, "tmp")
        Path(folder).chmod(0o755)
        shutil.copytree(PACKAGE, site / "sim_compress", ignore=shutil.ignore_patterns("__pycache__"))
        temporary.mkdir()
        temporary.chmod(0o1777)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "HOME", "XDG_"))}
        environment = kept | {"PYTHONPATH": str(site), "TMPDIR": str(temporary)}
        environment |= {"HOME": home} if home else {}
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*user, sys.executable, "-c", "import numba"], env=kept, check=False).returncode:
            pytest.skip("other users cannot run this interpreter")
        run = subprocess.run(
            [*user, sys.executable, "-c", IMPORTED],
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert Path(run.stdout.strip()).parent == temporary / "sim-compress-65534"
