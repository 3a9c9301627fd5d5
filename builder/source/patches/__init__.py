"""Local patches on an upstream tree: the queue, what becomes of each patch, the queue on a new base."""
