"""What every test finds: jobs that it interrupts can be."""

import signal


def pytest_configure() -> None:
    """Jobs of tests can be ended: a shell ignores SIGINT for what runs in the background, nohup SIGHUP."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
