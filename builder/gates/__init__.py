"""One question about an image each."""
