"""Reverse mode without torch: gradients of functions of states and outputs for the values of rows."""
