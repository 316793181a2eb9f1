"""All values together: gradient descent towards the teacher's states and outputs."""
