"""How fast images are, and whether one is slower than another."""
