"""What compiling has to tell the user, through the logger `sim_compress`."""

import logging

LOGGER = logging.getLogger("sim_compress")
_SAID: set[str] = set()


def say_once(level: int, text: str) -> None:
    """Log a text unless this process has said it before."""
    if text not in _SAID:
        _SAID.add(text)
        LOGGER.log(level, text)
