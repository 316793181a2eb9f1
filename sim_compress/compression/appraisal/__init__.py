"""What came of a run: how rows ended, what the outputs lost, why a sparsity is not as asked."""
