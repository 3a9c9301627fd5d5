"""Load that does not wait for answers, for as long as it takes to see what a short look cannot."""
