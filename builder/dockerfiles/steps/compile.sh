#!/usr/bin/env bash
# Compile the targets of /plan/targets, one name a line.
set -euo pipefail

# shellcheck source=SCRIPTDIR/environment.sh
. /steps/environment.sh
overlay_defaults

if command -v ccache > /dev/null; then
  ccache --zero-stats > /dev/null
fi

mapfile -t targets < /plan/targets

# What a person watches goes to the step's output, which is limited; all of it goes to the log.
watched='^\[[0-9]+/[0-9]+\]|FAILED|[Ee]rror[: ]|^ninja:'
ninja -C /build -j "$JOBS" "${targets[@]}" 2>&1 | tee /log/compile.log | { grep --text --line-buffered -E "$watched" || true; }

if command -v ccache > /dev/null; then
  ccache --show-stats
fi
