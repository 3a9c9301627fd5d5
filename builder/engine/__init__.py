"""Docker: the client, GPU access, set-up."""
