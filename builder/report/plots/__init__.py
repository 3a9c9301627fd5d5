"""Plots as SVG without a script: places are shares of the width, so that they fit a phone and words keep their size."""
