"""Where a tag or a file says which image is adopted: the engine, a registry, files for Compose."""
