"""The network's file: read, checked, counted and cleaned before anything is made of it."""
