"""The operations and the instructions of each."""
