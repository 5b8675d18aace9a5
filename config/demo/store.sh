# The outside store of a run, beside the embedded one: sourced by run.sh, which has set $store (its
# kind), $store_port, $run and $demo. How it is started, whether it answers, how many samples it has.

store_first_port() { case $store in influxdb) echo 8086 ;; victoriametrics) echo 8428 ;; esac; }

store_command() { # sets $command
    case $store in
    influxdb) command=(influxd -config "$run/config/influxdb.conf") ;;
    victoriametrics)
        # It keeps a month, doubles and the last 30 s back unless it is told otherwise.
        command=(victoria-metrics -httpListenAddr="127.0.0.1:$store_port"
            -storageDataPath="$run/data/victoriametrics" -retentionPeriod=100y
            -dedup.minScrapeInterval=1ms -search.latencyOffset=0s -loggerLevel=WARN)
        ;;
    esac
}

store_url() { echo "http://127.0.0.1:$store_port"; }

store_answers() {
    case $store in
    influxdb) curl -sf --max-time 3 -o /dev/null "$(store_url)/ping" ;;
    victoriametrics) curl -sf --max-time 3 -o /dev/null "$(store_url)/health" ;;
    esac
}

store_count() { # what the store itself says: a number, or nothing
    case $store in
    influxdb)
        curl -sfG --max-time 60 "$(store_url)/query" --data-urlencode db=chengmai \
            --data-urlencode 'q=SELECT count(q) FROM chengmai' | sed -nE 's/.*,([0-9]+)\]\].*/\1/p'
        ;;
    victoriametrics)
        # What came last is shown once it is flushed.
        curl -sf --max-time 60 -o /dev/null "$(store_url)/internal/force_flush" || return 0
        curl -sfG --max-time 60 "$(store_url)/api/v1/query" --data-urlencode nocache=1 \
            --data-urlencode 'query=sum(count_over_time(chengmai_q[50y]))' |
            sed -nE 's/.*"value":\[[0-9.]+,"([0-9]+)"\].*/\1/p'
        ;;
    esac
}
