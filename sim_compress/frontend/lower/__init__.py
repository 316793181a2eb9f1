"""The graph of one sample as the exact implicit model."""
