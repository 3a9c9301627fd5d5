"""Models that are made on the spot: small, deterministic, and able to show that a server computes."""
