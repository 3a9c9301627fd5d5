"""Files by which a Compose stack takes exactly the image that is adopted."""
