"""What a run is made of: steps with inputs and results, and the target they are run for."""
