"""What a tree offers, what is wanted of it, and what came of it."""
