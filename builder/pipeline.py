"""The chain, as one readable function over stages."""
