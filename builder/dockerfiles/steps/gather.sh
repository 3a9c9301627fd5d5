#!/usr/bin/env bash
# Gather in /out what the served image adds to the runtime image: the targets, the backends that they load, and
# every shared library these need that the runtime image does not have. SHA256SUMS says what all that is.
set -euo pipefail

# shellcheck source=SCRIPTDIR/libraries.sh
. /steps/libraries.sh

home=/out/opt/llama.cpp
mkdir -p "$home" /out/usr/local/bin /out/var/lib/llama

while read -r target; do
  cp "/build/bin/$target" "$home/"
  ln -s "/opt/llama.cpp/$target" "/out/usr/local/bin/$target"
done < /plan/targets
find /build -type f -name 'libggml-*.so' -exec cp -n {} "$home/" \;
add_libraries "$home" /runtime

install -m 0755 /steps/llama-health.sh /out/usr/local/bin/llama-health
install -m 0644 /record/build.json "$home/build.json"
ls -l "$home"

(cd /out && find . -type f ! -path ./opt/llama.cpp/SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) \
  | sed 's,  \./,  /,' > "$home/SHA256SUMS"

chown -R 10001:10001 /out/var/lib/llama
find /out -exec touch --no-dereference --date="@$EPOCH" {} +
