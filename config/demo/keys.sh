#!/bin/bash
# Makes a private CA and certificates: keys.sh FOLDER NAME…
# "broker" gets a server certificate for this machine's loopback; every other name a client
# certificate whose CN is the name. Existing ones are kept.
set -euo pipefail
folder=$1
shift
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
umask 077

make_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }

if [ ! -e ca.crt ]; then
    make_key ca
    openssl req -x509 -new -key ca.key -sha256 -days 3650 -subj "/CN=Chengmai CA" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.crt 2>/dev/null
fi
for name in "$@"; do
    [ -e "$name.crt" ] && continue
    make_key "$name"
    openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr" 2>/dev/null
    if [ "$name" = broker ]; then
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >"$name.ext"
    else
        printf 'extendedKeyUsage=clientAuth\n' >"$name.ext"
    fi
    openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" \
        -sha256 -days 825 -extfile "$name.ext" -out "$name.crt" 2>/dev/null
    rm -f "$name.csr" "$name.ext"
done
