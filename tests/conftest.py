"""What every test finds: jobs that it interrupts can be."""

import signal


def pytest_configure() -> None:
    """Shells start what runs in the background with SIGINT ignored, and so would the jobs of tests be."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
