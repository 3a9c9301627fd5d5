#!/usr/bin/env bash
# Gather in /out what the tests image adds to the served image in /served: the test programs, and every shared library
# these need that the served image does not have.
set -euo pipefail

# shellcheck source=SCRIPTDIR/libraries.sh
. /steps/libraries.sh

home=/out/opt/llama.cpp
mkdir -p "$home" /out/usr/local/bin

while read -r test; do
  cp "/build/bin/$test" "$home/"
  ln -s "/opt/llama.cpp/$test" "/out/usr/local/bin/$test"
done < /plan/tests
add_libraries "$home" /served /served/opt/llama.cpp
"${CC:-cc}" -shared -fPIC -nostdlib -s -O1 -o "$home/libtest-program.so" /steps/test-program.c
ls -l "$home"

find /out -exec touch --no-dereference --date="@$EPOCH" {} +
