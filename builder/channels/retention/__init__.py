"""What nothing needs any more, and taking it away."""
