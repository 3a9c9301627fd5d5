"""The soak gate."""
