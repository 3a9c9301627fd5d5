"""What gates that serve an image have in common: how it is started, looked at while it runs, and ended."""
