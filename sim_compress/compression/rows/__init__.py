"""Row problems of blocks and their solution: in order on regenerated states, or side by side."""
