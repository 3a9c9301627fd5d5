"""The smoke gate: does an image really serve a profile, and on the GPU where it is made for one?"""
