"""The tree that a build starts from."""
