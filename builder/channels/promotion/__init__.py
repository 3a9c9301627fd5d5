"""From a judged image to the tags that name it: planned as a whole, then moved step by step, or taken back."""
