#!/usr/bin/env bash
# Compile what /plan/$1 names, one name a line; the whole output goes to /log/$1.log.
set -euo pipefail

# shellcheck source=SCRIPTDIR/environment.sh
. /steps/environment.sh
overlay_defaults

if command -v ccache > /dev/null; then
  ccache --zero-stats > /dev/null
fi

mapfile -t targets < "/plan/$1"

# What a person watches goes to the step's output, which is limited; all of it goes to the log.
watched='^\[[0-9]+/[0-9]+\]|FAILED|[Ee]rror[: ]|^ninja:'
ninja -C /build -j "$JOBS" "${targets[@]}" 2>&1 | tee "/log/$1.log" | { grep --text --line-buffered -E "$watched" || true; }

if command -v ccache > /dev/null; then
  ccache --show-stats
fi
