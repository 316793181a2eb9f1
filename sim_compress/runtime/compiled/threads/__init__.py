"""How threads share a program, wait and sleep."""
