"""`builder patches`: the queue of local patches, and what becomes of it on an upstream revision."""
