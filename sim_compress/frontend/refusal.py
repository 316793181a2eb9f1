"""Why one node has no place in the state model."""


class RefusalError(Exception):
    """The reason, as the user reads it; collected into one UnsupportedError."""
