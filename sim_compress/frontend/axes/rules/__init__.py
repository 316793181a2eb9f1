"""What operators do to the axes of their inputs, a file for each kind of operator."""
