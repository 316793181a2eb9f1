"""Why one node has no place in the state model."""


class RefusalError(Exception):
    """The reason, as the user reads it; collected into one UnsupportedError."""


class TooLargeError(RefusalError):
    """A supported operator on more than it is supported for; the end of a network may hold such a node."""
