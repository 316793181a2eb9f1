"""Where a tensor lies in the memory of a program."""
