"""The numba kernel: models as programs for a compiled interpreter."""
