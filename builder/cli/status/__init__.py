"""`builder status`: what is adopted, what waits and why, what runs where."""
