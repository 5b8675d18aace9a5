#!/bin/bash
# Starts a whole county on this machine: broker, simulated plants, three edges, the centre.
# Ctrl-C stops all of it and only it. With RUN_FOR=60s it stops by itself, drains, and prints the
# books: points read, stored, held, on the ledger, missing. KILLS=20 kills each process that often
# in between, KILL_EVERY=5 one of them every five seconds. STORE=influxdb or victoriametrics starts
# that store beside the embedded one; the books then say what that store says it has.
set -euo pipefail
cd "$(dirname "$0")/../.."

whole() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
bin=$(whole "${BIN:-build/bin}")
run=$(whole "${RUN_DIR:-${BUILD:-build}/run}")
web=$(whole "${BUILD:-build}/web")
demo=$PWD/config/demo
edges=(leachate transfer gas)
store=${STORE:-embedded}

stores=() # children of that kind
case $store in
embedded) ;;
influxdb | victoriametrics)
    stores=("$store")
    . "$demo/store.sh"
    ;;
*) echo "STORE=$store: expected embedded, influxdb or victoriametrics" >&2; exit 2 ;;
esac

seconds() { # 60s, 5min, 1h → seconds
    case $1 in
    *min) echo $((${1%min} * 60)) ;;
    *h) echo $((${1%h} * 3600)) ;;
    *s) echo "${1%s}" ;;
    *) echo "RUN_FOR=$1: write it as 60s, 5min or 1h" >&2; exit 2 ;;
    esac
}
run_for=
if [ -n "${RUN_FOR:-}" ]; then run_for=$(seconds "$RUN_FOR"); fi

# ---- ports, keys, configuration -------------------------------------------------------------

taken=" "
free_port() { # sets $port: the first free one from $1 on
    port=$1
    while [[ $taken == *" $port "* ]] || (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((port + 1))
    done
    taken+="$port "
}

prepare() {
    # A run with books starts from nothing, so that they are this run's alone.
    if [ -n "$run_for" ]; then rm -rf "$run"; fi
    rm -rf "$run/stop" "$run/pid"
    mkdir -p "$run"/{config,log,pid,stop,data} && chmod 700 "$run"
    free_port 8883; broker_port=$port
    free_port 1502; plc_port=$port
    free_port 1503; transfer_port=$port
    free_port 1504; gas_port=$port
    free_port "${HTTP_PORT:-8080}"; http_port=$port
    store_port= meta_port=
    if [ "$store" != embedded ]; then free_port "$(store_first_port)"; store_port=$port; fi
    if [ "$store" = influxdb ]; then free_port 8088; meta_port=$port; fi
    "$demo/keys.sh" "$run/keys" broker central "${edges[@]}"
    if [ ! -s "$run/operator.password" ]; then
        (umask 077; openssl rand -hex 8 >"$run/operator.password")
    fi
    local file
    for file in "$demo"/*.yaml "$demo/influxdb.conf" "$demo/../mosquitto/mosquitto.conf"; do
        sed -e "s|@PORT@|$broker_port|g; s|@BROKER@|$broker_port|g; s|@PLC@|$plc_port|g" \
            -e "s|@TRANSFER@|$transfer_port|g; s|@GAS@|$gas_port|g; s|@HTTP@|$http_port|g" \
            -e "s|@KEYS@|$run/keys|g; s|@RUN@|$run|g; s|@WEB@|$web|g; s|@CONFIG@|$PWD/config|g" \
            -e "s|@ACL@|$PWD/config/mosquitto/acl|g; s|@USER@|$(id -un)|g" \
            -e "s|@STORE@|$store_port|g; s|@META@|$meta_port|g" \
            "$file" >"$run/config/$(basename "$file")"
    done
    if [ "$store" != embedded ]; then
        printf 'stores:\n  - {kind: %s, url: "%s"}\n' "$store" "$(store_url)" >>"$run/config/central.yaml"
    fi
}

# ---- children, each in a process group of its own -------------------------------------------

supervise() { # name command…: runs it again when it dies, until it is told to stop
    local name=$1 status
    shift
    while [ ! -e "$run/stop/$name" ]; do
        setsid "$@" >>"$run/log/$name.log" 2>&1 9>&- &
        echo $! >"$run/pid/$name"
        status=0
        wait $! || status=$?
        [ -e "$run/stop/$name" ] && break
        if [ "$status" -eq 2 ]; then
            echo "$name does not start:" >&2
            tail -n 5 "$run/log/$name.log" >&2
            kill -TERM $$
            break
        fi
        sleep 0.2
    done
}

start() { supervise "$@" & }

alive() { [ -e "$run/pid/$1" ] && kill -0 "$(cat "$run/pid/$1")" 2>/dev/null; }

stop() { # name…: asks all of them, then waits for each; what does not go is killed
    local name tries
    for name in "$@"; do
        touch "$run/stop/$name"
        alive "$name" && kill -TERM "$(cat "$run/pid/$name")" 2>/dev/null
    done
    for name in "$@"; do
        tries=0
        while alive "$name" && [ $((tries += 1)) -le 300 ]; do sleep 0.1; done
        alive "$name" && { echo "$name did not stop: killed" >&2; kill -KILL "$(cat "$run/pid/$name")"; }
    done
    return 0
}

stop_all() {
    trap - EXIT INT TERM
    stop "${edges[@]}"
    stop central
    stop "${stores[@]}"
    stop broker
    stop sim
    jobs -p | xargs -r kill 2>/dev/null || true
}

# ---- what is asked of the running county ----------------------------------------------------

metric() { # name: its value, or nothing while the centre does not answer
    curl -sf --max-time 3 "http://127.0.0.1:$http_port/api/v1/metrics" 2>/dev/null |
        sed -nE "s/^$1 ([0-9.e+]+)\$/\1/p" | head -1
}

wait_for() { # seconds, what, command…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ $SECONDS -ge $end ]; then
            echo "waited too long for $what; the logs are in $run/log" >&2
            tail -n 3 "$run"/log/*.log >&2
            return 1
        fi
        sleep 0.1
    done
}
stored_something() { local n; n=$(metric chengmai_samples_stored_total); [ -n "$n" ] && [ "$n" != 0 ]; }
readers_done() {
    local reader
    for reader in historian alarm "${stores[@]}"; do
        [ "$(metric "chengmai_reader_lag_records\\{reader=\"$reader\"\\}")" = 0 ] || return 1
    done
}
# Killed, a store may have forgotten what it had said yes to: that is written to it again.
store_has_all() {
    local there here
    there=$(store_count) || true
    here=$(metric chengmai_samples_stored_total) || true
    [[ $there =~ ^[0-9]+$ && $there = "$here" ]]
}

plants_listen() { [ "$(grep -c 'listens on port' "$run/log/sim.log" 2>/dev/null)" -ge 3 ]; }

victims=("${edges[@]}" broker central "${stores[@]}")
kill_one() { if alive "$1"; then kill -KILL "$(cat "$run/pid/$1")" 2>/dev/null || true; fi; }

# SIGKILL to every process, KILLS times, spread over the run; now and then to all at once.
kill_often() {
    local n name pause
    pause=$(awk -v s="$run_for" -v k="$KILLS" -v n="${#victims[@]}" 'BEGIN { print s * 0.9 / k / (n + 1) }')
    for ((n = 1; n <= KILLS; n++)); do
        if [ $((n % 5)) -eq 0 ]; then
            for name in "${victims[@]}"; do kill_one "$name"; done
            sleep "$(awk -v p="$pause" -v n="${#victims[@]}" 'BEGIN { print p * (n + 1) }')"
            continue
        fi
        for name in "${victims[@]}"; do
            kill_one "$name"
            sleep "$pause"
        done
        sleep "$pause"
    done
}

kill_now_and_then() {
    while :; do
        sleep "$KILL_EVERY"
        kill_one "${victims[RANDOM % ${#victims[@]}]}"
    done
}

books() {
    local -a journals=()
    local edge
    for edge in "${edges[@]}"; do journals+=("$run/data/$edge/journal"); done
    "$bin/chengmai" books --central "$run/data/central" "$@" "${journals[@]}"
}

# ---- the run --------------------------------------------------------------------------------

mkdir -p "$(dirname "$run")"
exec 9>"$run.lock"
flock -n 9 || { echo "a county runs in $run already: stop it first, or set RUN_DIR" >&2; exit 1; }
prepare
trap 'stop_all; exit 130' INT
trap 'stop_all; exit 1' TERM
trap stop_all EXIT

start broker mosquitto -c "$run/config/mosquitto.conf"
start sim "$bin/chengmai-sim" --config "$run/config/sim.yaml"
wait_for 30 "the plants" plants_listen
if [ "$store" != embedded ]; then
    store_command
    start "$store" "${command[@]}"
    wait_for 60 "$store" store_answers
fi
start central "$bin/chengmai-central" --config "$run/config/central.yaml"
for edge in "${edges[@]}"; do
    start "$edge" "$bin/chengmai-edge" --config "$run/config/edge-$edge.yaml"
done

wait_for 60 "the first stored sample" stored_something
cat <<EOT

  Chengmai 城脉 runs.
    dashboard   http://127.0.0.1:$http_port/
    account     operator   password $(cat "$run/operator.password")
    data, logs  $run
EOT
[ "$store" = embedded ] || echo "    $store $(store_url)"
echo

if [ -z "$run_for" ]; then
    tail -n 20 -F "$run/log/central.log"
    exit 0
fi

pids=()
if [ -n "${KILLS:-}" ]; then kill_often & pids+=($!); fi
if [ -n "${KILL_EVERY:-}" ]; then kill_now_and_then & pids+=($!); fi
sleep "$run_for"
for pid in "${pids[@]}"; do
    # A fixed number of kills is carried out to the end.
    if [ -n "${KILLS:-}" ]; then wait "$pid" || true; else kill "$pid" 2>/dev/null || true; fi
done

wait_for 30 "the centre" stored_something
stop "${edges[@]}"
wait_for 120 "the stores" readers_done
counted=()
if [ "$store" != embedded ]; then
    # Where it does not come to have all of it, the books say how much is missing.
    wait_for 90 "$store to have what the embedded store has" store_has_all || true
    wait_for 30 "$store" store_answers
    counted=(--stored "$(store_count)")
fi
stop_all
books "${counted[@]}"
