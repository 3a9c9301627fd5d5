"""The command line: one file per command. Parse, call one function, show what it gave."""
