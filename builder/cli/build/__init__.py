"""`builder build`: from upstream to the tag that the stack adopts."""
