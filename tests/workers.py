"""Threads for tests of what an engine runs, as long as the tests run."""

import atexit
from contextlib import ExitStack

from sim_compress.core.engines import Engine, engine

_open = ExitStack()
WORKERS: Engine = _open.enter_context(engine())
atexit.register(_open.close)
