#!/bin/bash
# Refuses what the house does not allow (layers, headers, foreign libraries, banned calls, form).
# Usage: lint.sh [FOLDER]: the folder is the repository unless a test names a copy.
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 2
failures=0
complain() { echo "lint: $*" >&2; failures=$((failures + 1)); }

sources() { find collector drivers -name '*.c' -o -name '*.h' 2>/dev/null | LC_ALL=C sort; }

# --- layers: an include may go down, never up or sideways -----------------------------------
declare -A rank=([base]=0 [model]=1 [alarm]=2 [notify]=2 [compliance]=2 [store]=2 [net]=2
                 [drivers]=2 [service]=3 [edge]=4 [central]=4 [ctl]=4 [verify]=9)
layer_of() { case $1 in collector/*) local rest=${1#collector/}; echo "${rest%%/*}" ;; *) echo drivers ;; esac; }

while IFS=: read -r file line text; do
    own=$(layer_of "$file")
    target=$(sed -E 's/.*"([^"]*)".*/\1/' <<<"$text")
    other=${target%%/*}
    if [ -z "${rank[$own]+x}" ]; then
        complain "$file: '$own' is not a layer"
    elif [[ $target != */* || -z ${rank[$other]+x} ]]; then
        complain "$file:$line: include \"$target\" by its layer, as in \"base/error.h\""
    elif [ "$own" = verify ] && [ "$other" != verify ]; then
        complain "$file:$line: verify stands alone and may not include \"$target\""
    elif [ "$own" != "$other" ] && [ "${rank[$other]}" -ge "${rank[$own]}" ]; then
        complain "$file:$line: $own may not include \"$target\": $other is not below it"
    fi
done < <(sources | xargs -r grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"')

# --- a foreign library is seen by the files named for it, and by no other --------------------
while read -r header files; do
    while IFS=: read -r file line _; do
        [[ " $files " == *" $file "* ]] ||
            complain "$file:$line: <$header…> belongs to ${files// /, } alone"
    done < <(sources | xargs -r grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$header")
done <<'TABLE'
modbus drivers/modbus/serial_port.c drivers/simulator/server.c
MQTT collector/net/mqtt.c
cjson collector/base/json.c
curl/ collector/net/http_client.c collector/net/smtp.c
sqlite3 collector/store/db.c
microhttpd collector/net/http_server.c
sodium collector/base/crypto.c
openssl collector/base/sm4.c
zstd collector/base/compress.c
yaml.h collector/model/config_yaml.c
xlsxwriter collector/service/report_xlsx.c
systemd/ none
TABLE

# --- banned calls ----------------------------------------------------------------------------
ban() { # pattern, why, files that may
    while IFS=: read -r file line _; do
        [[ " $3 " == *" $file "* ]] || complain "$file:$line: $2"
    done < <(sources | xargs -r grep -nHE "(^|[^A-Za-z0-9_])($1)[[:space:]]*\(")
}
ban 'strcpy|strcat|sprintf|vsprintf|strtok|gets' 'unbounded text: use base/text.h or base/buffer.h' ''
ban 'atoi|atol|atof|strtod|strtof|strtold' 'lenient or locale-bound numbers: use base/numbers.h' collector/base/numbers.c
ban 'gmtime|localtime|gmtime_r|localtime_r|mktime' 'use base/clock.h' collector/base/clock.c
ban 'rand|srand|random|srandom' 'use base/crypto.h' ''
ban 'setjmp|longjmp|alloca' 'no jumps, no unbounded stack' ''
ban 'modbus_write_[a-z_]*|modbus_mask_write_register|modbus_write_and_read_registers' \
    'Chengmai never writes to an instrument' ''

# --- each header compiles alone, guarded -----------------------------------------------------
header_flags="-std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -Icollector -I. $(pkg-config --cflags libmodbus libcjson 2>/dev/null)"
export header_flags
while read -r header; do
    [ -n "$header" ] && complain "$header does not compile alone (gcc -fsyntax-only says why)"
done < <(sources | grep '\.h$' |
    xargs -r -P 2 -I{} sh -c 'printf "#include \"%s\"\nextern int alone;\n" {} |
        ${CC:-cc} $header_flags -fsyntax-only -x c - 2>/dev/null || echo {}')
while read -r header; do
    guard=$(tr 'a-z/.-' 'A-Z___' <<<"${header#collector/}")
    grep -q "^#ifndef $guard\$" "$header" || complain "$header: its guard should be $guard"
done < <(sources | grep '\.h$')

# --- form ------------------------------------------------------------------------------------
if command -v clang-format >/dev/null; then
    while IFS= read -r text; do complain "$text (make format)"; done < <(
        find collector drivers tests -name '*.[ch]' | xargs -r clang-format --dry-run 2>&1 |
        grep -E 'warning:|error:' | cut -d: -f1 | uniq -c | awk '{print $2": "$1" places are not in the form of .clang-format"}')
fi
while IFS=: read -r file line _; do
    complain "$file:$line: unfinished, by its own words"
done < <(sources | xargs -r grep -nHE '\b(TODO|FIXME|XXX|HACK)\b')

if [ "$failures" -gt 0 ]; then
    echo "lint: $failures complaints" >&2
    exit 1
fi
echo "lint: nothing to complain about"
