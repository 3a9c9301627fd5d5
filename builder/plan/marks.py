"""Where an image says what it is: names of its labels, and the place of its build record."""

from __future__ import annotations

OWN = "local.builder."
"""Prefix of our own labels."""
PLAN = f"{OWN}plan"
"""Label: digest of the plan; an image without it was not built here."""
TESTS = f"{OWN}tests"
"""Label: upstream's own test programs that an image holds; one that is served has none."""
STANDARD = "org.opencontainers.image."
"""Prefix of the labels that everybody uses."""
FOLDER = "/opt/llama.cpp"
"""The image's folder for the server, its backends and the libraries that came with them."""
RECORD = f"{FOLDER}/build.json"
"""The build record's place in the image."""
INHERITABLE = ("authors", "documentation", "ref.name", "url", "vendor")
"""Standard labels that a base image may set and that would be wrong about ours."""
