"""What llama-server says and how to run it."""
