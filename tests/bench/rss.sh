#!/bin/bash
# What an edge holds in memory: VmRSS of the demonstration's leachate edge while the whole county
# runs, beside a program that has only loaded the same libraries.
set -euo pipefail
build=${BUILD:-build}
run=$build/bench-run # below the repository, where run.sh makes it
seconds=20
[ -z "${QUICK:-}" ] || seconds=6
mkdir -p "$build"
RUN_DIR=$run HTTP_PORT=18080 RUN_FOR=$((seconds + 2))s config/demo/run.sh >"$build/bench-run.log" 2>&1 &
county=$!
trap 'kill "$county" 2>/dev/null || true; wait "$county" || true' EXIT

resident() { awk '/^VmRSS:/ { print $2 / 1024 }' "/proc/$1/status"; }

for ((tries = 0; tries < 300; tries++)); do
    grep -q 'Chengmai 城脉 runs' "$build/bench-run.log" && break
    kill -0 "$county" 2>/dev/null || { echo "bench: the county does not run: $build/bench-run.log" >&2; exit 1; }
    sleep 0.1
done
sleep "$seconds"
subject=$(resident "$(cat "$run/pid/leachate")")
"$build/bench/idle" &
idle=$!
sleep 0.3
reference=$(resident "$idle")
kill "$idle"
wait "$idle" 2>/dev/null || true
wait "$county"
trap - EXIT
awk -v s="$subject" -v r="$reference" 'BEGIN {
    printf "edge.rss_mib %.4g MiB (ratio %.3g to a program that only loaded the libraries, bound at most 8 MiB, %s)\n",
        s, s / r, s <= 8 ? "met" : "missed" }'
