"""What the library logs reaches the user of the command line."""

import errno
import logging
import os

from sim_compress.cli import inspect
from sim_compress.compilation import cache


def test_what_is_logged_is_a_note_on_stderr_and_only_while_a_command_runs(run, monkeypatch):
    logger, handlers = logging.getLogger("sim_compress"), logging.getLogger("sim_compress").handlers.copy()

    def logs(_) -> int:
        logger.warning("compiling %s", "something")
        return 0

    monkeypatch.setattr(inspect, "run", logs)
    assert run("inspect", "FILE") == (0, "", "note: compiling something\n")
    assert logger.handlers == handlers


def test_a_full_folder_for_compiled_code_is_named_once_and_costs_nothing_else(run, monkeypatch):
    folders = cache.Folders((), cache.Path("/full"))

    def fails(*_) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def saves(_) -> int:
        for key in ("one", "two"):
            cache._Files(folders, "kernel", "sim_compress.errors").save(((), key, ()), b"")
        return 0

    monkeypatch.setattr(cache, "_write", fails)
    monkeypatch.setattr(inspect, "run", saves)
    code, out, err = run("inspect", "FILE")
    assert (code, out, err.count("note: ")) == (0, "", 1)
    assert "/full cannot be written (No space left on device)" in err
