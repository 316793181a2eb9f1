"""How each kind of block becomes operations."""
