#!/usr/bin/env bash
# Configure the tree in /src into /build with the definitions of /plan/definitions, one CMake argument a line.
set -euo pipefail

# shellcheck source=SCRIPTDIR/environment.sh
. /steps/environment.sh
overlay_defaults

mapfile -t definitions < /plan/definitions
cmake -S /src -B /build -G Ninja "${definitions[@]}" 2>&1 | tee /tmp/configure.log
mv /tmp/configure.log /build/configure.log
