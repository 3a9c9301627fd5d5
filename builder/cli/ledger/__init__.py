"""`builder ledger`: what the ledger knows, whether it is true, and the way to other machines."""
