"""How entries are shared out between blocks: paths of supports, what they do to the outputs, and the plan."""
