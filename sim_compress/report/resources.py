"""What a run took of the machine."""

import sys

# getrusage counts in KiB, on macOS in bytes.
UNIT = 1 if sys.platform == "darwin" else 1024


def peak_memory() -> int | None:
    """Largest resident size of this process so far in bytes; None where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    return UNIT * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
