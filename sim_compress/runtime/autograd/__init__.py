"""The torch runtime: models as modules with gradients, on any device and in any floating dtype."""
