#!/usr/bin/env bash
# Gather in /out what the served image adds to the runtime image: the targets, the backends that they load, and
# every shared library these need that the runtime image does not have. The C library is the runtime's own, the
# driver comes with the GPU.
set -euo pipefail

home=/out/opt/llama.cpp
mkdir -p "$home" /out/usr/local/bin /out/var/lib/llama

while read -r target; do
  cp "/build/bin/$target" "$home/"
  ln -s "/opt/llama.cpp/$target" "/out/usr/local/bin/$target"
done < /plan/targets
find /build -type f -name 'libggml-*.so' -exec cp -n {} "$home/" \;

c_library='^(ld-linux.*|libc|libm|libmvec|libdl|librt|libpthread|libresolv|libutil|libnsl|libanl)\.so'
driver='^(libcuda|libnvidia-.*)\.so'

in_runtime() {
  find /runtime/lib /runtime/lib64 /runtime/usr/lib /runtime/usr/lib64 -maxdepth 2 -name "$1" 2> /dev/null | grep -q .
}

built=$(find /build -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:)

added=yes
while [ "$added" = yes ]; do
  added=no
  for file in "$home"/*; do
    linked=$(LD_LIBRARY_PATH="$built:/usr/local/cuda/lib64" ldd "$file")
    while read -r name _ where _; do
      if [[ $name =~ $c_library || $name =~ $driver || $name == linux-vdso* || -e $home/$name ]]; then
        continue
      fi
      if [[ $where != /* ]]; then
        echo "error: $(basename "$file") needs $name, which is nowhere" >&2
        exit 1
      fi
      if [[ $where != /build/* ]] && in_runtime "$name"; then
        continue
      fi
      cp -L "$where" "$home/$name"
      added=yes
    done < <(sed -n 's/^[[:space:]]*//; /=>/p' <<< "$linked")
  done
done

install -m 0755 /steps/llama-health.sh /out/usr/local/bin/llama-health
install -m 0644 /record/build.json "$home/build.json"
ls -l "$home"

chown -R 10001:10001 /out/var/lib/llama
find /out -exec touch --no-dereference --date="@$EPOCH" {} +
