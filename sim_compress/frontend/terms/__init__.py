"""What a tensor is in terms of states and inputs, before it becomes a state block."""
