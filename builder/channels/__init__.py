"""What was judged and adopted, and where the tags are: the ledger, statements, the registry."""
