#!/bin/sh
# Health of the server in this container: on the port of its command line, else of LLAMA_ARG_PORT.
port=$(tr '\0' '\n' < /proc/1/cmdline | sed -n '/^--port$/{n;p;}; s/^--port=//p' | tail -n 1)
exec curl --fail --silent --show-error --output /dev/null --max-time 4 \
  "http://127.0.0.1:${port:-${LLAMA_ARG_PORT:-8080}}/health"
