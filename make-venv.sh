#!/bin/sh
# Make a virtual environment, and on Debian and Ubuntu first install what Python needs for it.
#
#   make-venv.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

if ! command -v "$python" > /dev/null || ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
    echo "error: $python has no venv module. Install it (Debian, Ubuntu: sudo apt-get install python3-venv)." >&2
    exit 3
  fi
  echo "Installing python3-venv with apt-get."
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q --yes --no-install-recommends python3-venv
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "error: $("$python" --version) is too old; 3.11 is needed. Name another with make PYTHON=..." >&2
  exit 3
fi
"$python" -m venv "$folder"
