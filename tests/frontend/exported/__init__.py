"""Networks as torch's two exporters write them, from small configurations with random weights."""
