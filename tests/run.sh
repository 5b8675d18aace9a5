#!/bin/bash
# Runs suites and adds up their counts: run.sh unit|fuzz|lint|system|fault|browser|world …
# Prints each suite's own output, the reasons of what was skipped, and last "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 2
BUILD=${BUILD:-build}
OBJ=${OBJ:-$BUILD/obj/release}
results=$BUILD/results
mkdir -p "$results"
passed=0 failed=0 skipped=0
: >"$results/skipped.txt"

add() { passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); }

# One cmocka binary per file; a crash or a hang is a failure of its own.
run_unit() {
    local binary log ok bad skip status
    for binary in $(find tests/unit -name 'test_*.c' | LC_ALL=C sort); do
        binary=$OBJ/${binary%.c}
        log=$results/$(basename "$binary").log
        timeout 300 "$binary" >"$log" 2>&1
        status=$?
        ok=$(grep -c '^\[       OK \]' "$log")
        bad=$(sed -nE 's/^\[  FAILED  \] ([0-9]+) test.*listed below:.*/\1/p' "$log")
        skip=$(sed -nE 's/^\[  SKIPPED \] ([0-9]+) test.*listed below:.*/\1/p' "$log")
        bad=${bad:-0} skip=${skip:-0}
        [ "$skip" -gt 0 ] && grep -E '^skipped: ' "$log" >>"$results/skipped.txt"
        if [ "$status" -ne 0 ]; then
            [ "$bad" -eq 0 ] && bad=1
            echo "FAILED $binary (exit $status)"
            tail -n 40 "$log"
        fi
        add "$ok" "$bad" "$skip"
    done
}

run_fuzz() {
    local source name
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] || continue
        name=$(basename "$source" .c)
        if timeout 300 "$OBJ/tests/fuzz/$name" "tests/fuzz/corpus/${name#fuzz_}" >"$results/$name.log" 2>&1; then
            add 1 0 0
        else
            echo "FAILED $name"
            tail -n 40 "$results/$name.log"
            add 0 1 0
        fi
    done
}

run_lint() {
    if tests/lint/lint.sh; then add 1 0 0; else add 0 1 0; fi
}

# The simulated world: 500 hours with all faults reached, then each planted bug, which 200 must find and tell in the
# words that its patch names.
run_world() {
    local world=$OBJ/tests/world/world log=$results/world.log jobs patch name words
    jobs=$(nproc)
    timeout 1200 "$world" --seeds 500 --jobs "$jobs" --reached >"$log" 2>&1
    grep -E '^FAILED|simulated hours' "$log"
    for name in seeds reached; do
        if grep -q "^\[       OK \] $name" "$log"; then add 1 0 0; else add 0 1 0; fi
    done
    for patch in tests/world/bugs/*.patch; do
        name=$(basename "$patch" .patch)
        log=$results/world-$name.log
        words=$(sed -n '/^--- /q; s/^Told: //p' "$patch")
        timeout 600 "$OBJ/tests/world/bug-$name" --seeds 200 --jobs "$jobs" --until "${words:?$patch}" >"$log" 2>&1
        if grep '^FAILED seed' "$log" | grep -m 1 -F -e "$words" | sed "s/^FAILED/$name:/" | grep .; then
            add 1 0 0
        else
            echo "FAILED $name: 200 seeds did not find the planted bug, or told another"
            add 0 1 0
        fi
    done
}

run_pytest() { # folder
    local xml=$results/$1.xml
    CHENGMAI_BIN=${BIN:-$BUILD/bin} CHENGMAI_BUILD=$BUILD /usr/bin/python3 -m pytest -p no:cacheprovider -q -rs \
        --junitxml="$xml" "tests/$1" 2>&1 | tee "$results/$1.log"
    local -a n=()
    read -r -a n < <(grep -oE '<testsuite [^>]*' "$xml" 2>/dev/null | head -1 |
        sed -E 's/.*errors="([0-9]+)".*failures="([0-9]+)".*skipped="([0-9]+)".*tests="([0-9]+)".*/\1 \2 \3 \4/')
    if [ "${#n[@]}" -ne 4 ]; then
        echo "FAILED $1: pytest did not finish"
        add 0 1 0
        return
    fi
    add $((n[3] - n[0] - n[1] - n[2])) $((n[0] + n[1])) "${n[2]}"
    grep '^SKIPPED' "$results/$1.log" >>"$results/skipped.txt"
}

run_browser() {
    local log=$results/browser.log
    # Each file in its own process, one after the other: they share two cores with a whole system.
    (cd tests/browser && CHENGMAI_BIN=$(realpath "../../${BIN:-$BUILD/bin}") CHENGMAI_BUILD=$(realpath "../../$BUILD") \
        node --test .) 2>&1 | tee "$log"
    local ok bad skip
    ok=$(sed -nE 's/^(# |ℹ )pass ([0-9]+)$/\2/p' "$log" | tail -1)
    bad=$(sed -nE 's/^(# |ℹ )fail ([0-9]+)$/\2/p' "$log" | tail -1)
    skip=$(sed -nE 's/^(# |ℹ )skipped ([0-9]+)$/\2/p' "$log" | tail -1)
    [ -n "$ok" ] || { echo "FAILED browser: node --test did not finish"; bad=1; }
    add "${ok:-0}" "${bad:-0}" "${skip:-0}"
}

for suite in "$@"; do
    echo "== $suite"
    case $suite in
    unit) run_unit ;;
    fuzz) run_fuzz ;;
    lint) run_lint ;;
    world) run_world ;;
    system | fault) run_pytest "$suite" ;;
    browser) run_browser ;;
    *) echo "run.sh: no suite '$suite'" >&2; exit 2 ;;
    esac
done
sort -u "$results/skipped.txt"
line="$passed passed, $failed failed"
[ "$skipped" -gt 0 ] && line+=", $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
