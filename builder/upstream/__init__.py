"""Where llama.cpp trees come from."""
