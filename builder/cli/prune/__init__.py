"""`builder prune`: what nothing needs any more, and taking it away."""
