"""What runs in which order: a model as a program."""
