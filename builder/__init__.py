"""From llama.cpp upstream to container images a GPU fleet can trust."""

__version__ = "0.1.0"
