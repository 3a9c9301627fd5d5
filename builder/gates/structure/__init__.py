"""The structure gate: is everything in an image that it needs, and is what it says of itself true?

The image's files are read as a stream from a container that never runs; nothing of the image is executed.
"""
