# shellcheck shell=bash
# What configuring and compiling share. Sourced.

export CCACHE_DIR=/ccache CCACHE_COMPILERCHECK=content CCACHE_MAXSIZE=15G

if command -v ccache > /dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache
fi

# RPATH rather than RUNPATH: it also holds for what the libraries themselves need. The driver's library is not
# there while compiling, only where the image runs.
export LDFLAGS='-Wl,--disable-new-dtags -Wl,--allow-shlib-undefined'

# Older trees take number and commit from the defaults of a file, not from a definition. The plan holds that
# file, edited; /src is written to for this step only.
overlay_defaults() {
  if [ -d /plan/overlay ]; then
    cp -r /plan/overlay/. /src/
  fi
}
