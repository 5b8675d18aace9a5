#!/bin/bash
# Runs the benchmarks (ONLY=edge|central|alarms for one group, QUICK=1 for short rounds), prints a
# line per figure and writes them to build/bench.json. A missed bound is said, never an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
groups=${ONLY:-edge central alarms}
: >"$build/bench.txt"
for group in $groups; do
    if [ ! -x "$build/bench/$group" ]; then
        echo "bench: there is no group '$group' yet" >&2
        exit 2
    fi
    "$build/bench/$group" | tee -a "$build/bench.txt"
    if [ "$group" = edge ]; then
        "$build/bench/edge_serial" | tee -a "$build/bench.txt"
        /usr/bin/python3 tests/bench/edge_system.py | tee -a "$build/bench.txt"
    fi
done
{
    echo '['
    sed -nE 's/^([^ ]+) ([^ ]+) ([^ ]+) \(ratio ([^ ]+) to (.*), bound (at most|at least) ([^,]+), (met|missed)\)$/{"name":"\1","value":\2,"unit":"\3","ratio":\4,"reference":"\5","bound":"\6 \7","met":\8},/p' \
        "$build/bench.txt" | sed 's/"met":met}/"met":true}/; s/"met":missed}/"met":false}/; $ s/,$//'
    echo ']'
} >"$build/bench.json"
