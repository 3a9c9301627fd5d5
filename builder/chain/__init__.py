"""The whole chain, from upstream to the tag that the stack adopts.

Each stage asks first what is there already: an image of the same inputs is not built again, a gate that has given its
last word is not asked again, a tag that names the image is not moved. So the next run goes on where one ended, however
that ended.
"""
