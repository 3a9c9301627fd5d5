"""Base images, the build and what it left."""
