#!/bin/bash
# Installs Debian packages that are missing: packages.sh GROUP…   (build, run, test, bench …)
# Needs root or sudo only when something is missing. Starts no service that it installs.
set -euo pipefail

declare -A groups=(
    [build]="build-essential pkg-config ca-certificates curl openssl libpaho-mqtt-dev libmodbus-dev
             libcjson-dev libcurl4-openssl-dev libsqlite3-dev libmicrohttpd-dev libsodium-dev
             libyaml-dev libzstd-dev"
    [run]="mosquitto"
    [influxdb]="influxdb"
    [victoriametrics]="victoria-metrics"
    [lint]="clang-format"
    [unit]="libcmocka-dev mosquitto locales"
    [system]="mosquitto mosquitto-clients python3-pytest python3-pymodbus python3-serial
              python3-serial-asyncio python3-paho-mqtt mbpoll"
    [browser]="chromium fonts-wqy-microhei"
    [fuzz]="clang libclang-rt-14-dev"
    [coverage]="gcovr"
    [deb]="dpkg-dev"
)
# A Node of another vendor conflicts with Debian's npm: add both only where no npm is found.
command -v npm >/dev/null || groups[browser]+=" nodejs npm"

wanted=()
for group in "$@"; do
    read -r -a names -d '' <<<"${groups[$group]:?unknown group $group}" || true
    wanted+=("${names[@]}")
done
# A package that is only known, or removed, is listed too: each must say that it is installed. One
# that is not even known makes the query fail, and is said on its standard error.
answer=$(dpkg-query -W -f '${db:Status-Status}\n' "${wanted[@]}" 2>&1 || true)
grep -qvx installed <<<"$answer" || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "missing packages: run this as root, or install sudo: ${wanted[*]}" >&2
        exit 1
    }
    as_root=(sudo)
fi
echo "installing: ${wanted[*]}"
# Without an init system or not, the servers are ours to start: keep Debian's own instances off.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made_policy=yes
fi
trap '[ "$made_policy" = no ] || "${as_root[@]}" rm -f "$policy"' EXIT
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -q update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${wanted[@]}"
