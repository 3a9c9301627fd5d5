"""The correctness gate: does an image compute what it should?"""
