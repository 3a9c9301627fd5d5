# shellcheck shell=bash
# Which shared libraries programs need beside them. Sourced.

c_library='^(ld-linux.*|libc|libm|libmvec|libdl|librt|libpthread|libresolv|libutil|libnsl|libanl)\.so'
driver='^(libcuda|libnvidia-.*)\.so'

# system_has ROOT NAME: whether the system in ROOT has a library.
system_has() {
  find "$1/lib" "$1/lib64" "$1/usr/lib" "$1/usr/lib64" -maxdepth 2 -name "$2" 2> /dev/null | grep -q .
}

# add_libraries HOME ROOT [THERE]: put every shared library that the files in HOME need into HOME, but for those that
# are in the folder THERE already or, unless they were built here, in the system in ROOT. The C library is the system's
# own, the driver comes with the GPU.
add_libraries() {
  local home=$1 root=$2 there=${3:-$1} added=yes built file linked name where
  built=$(find /build -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:)

  while [ "$added" = yes ]; do
    added=no
    for file in "$home"/*; do
      linked=$(LD_LIBRARY_PATH="$built:/usr/local/cuda/lib64" ldd "$file")
      while read -r name _ where _; do
        if [[ $name =~ $c_library || $name =~ $driver || $name == linux-vdso* ]]; then
          continue
        fi
        if [[ -e $home/$name || -e $there/$name ]]; then
          continue
        fi
        if [[ $where != /* ]]; then
          echo "error: $(basename "$file") needs $name, which is nowhere" >&2
          exit 1
        fi
        if [[ $where != /build/* ]] && system_has "$root" "$name"; then
          continue
        fi
        cp -L "$where" "$home/$name"
        added=yes
      done < <(sed -n 's/^[[:space:]]*//; /=>/p' <<< "$linked")
    done
  done
}
