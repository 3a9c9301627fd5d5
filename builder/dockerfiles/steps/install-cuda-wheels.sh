#!/bin/sh
# Make /usr/local/cuda of the components in /wheels.
set -eu

cuda=/usr/local/cuda
mkdir -p "$cuda"
for component in /wheels/*/; do
  cp -r "$component." "$cuda/"
done
ln -s lib "$cuda/lib64"

for library in "$cuda"/lib/lib*.so.[0-9]*; do
  ln -sf "$(basename "$library")" "${library%%.so.*}.so"
done

mkdir -p "$cuda/lib/stubs"
: | cc -shared -Wl,-soname,libcuda.so.1 -o "$cuda/lib/stubs/libcuda.so" -x c -
