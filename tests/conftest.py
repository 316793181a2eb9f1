"""What every test finds: jobs that it interrupts can be."""

import signal

import pytest

# Files that take minutes: what runs beside them has to start with them, not to wait for them in the end.
LONGEST = ("test_instruction_sets.py",)


def pytest_configure() -> None:
    """Jobs of tests can be ended: a shell ignores SIGINT for what runs in the background, nohup SIGHUP."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
