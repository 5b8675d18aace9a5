#!/bin/bash
# Makes build/deb/chengmai_VERSION_ARCH.deb from what `make build` built.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
version=$(git describe --tags --always 2>/dev/null || echo 0)
version=0.1+${version#v}
arch=$(dpkg --print-architecture)
root=$build/deb/root
rm -rf "$root"
mkdir -p "$root/DEBIAN"
make --no-print-directory install DESTDIR="$PWD/$root"
for unit in config/systemd/*.service; do
    install -D -m 644 "$unit" "$root/lib/systemd/system/$(basename "$unit")"
done
install -D -m 644 README.md "$root/usr/share/doc/chengmai/README.md"
mkdir -p "$build/deb/debian"
printf 'Source: chengmai\n\nPackage: chengmai\nArchitecture: any\n' >"$build/deb/debian/control"
depends=$(cd "$build/deb" && dpkg-shlibdeps -O root/usr/bin/* 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
cat >"$root/DEBIAN/control" <<EOT
Package: chengmai
Version: $version
Architecture: $arch
Maintainer: Chengmai maintainers <maintainers@localhost>
Depends: $depends, openssl
Recommends: mosquitto
Section: net
Priority: optional
Description: telemetry for leachate plants, transfer stations and gas points
 Edge collectors read Modbus instruments and keep every reading until the centre
 has it on disk; the centre stores, raises alarms and shows what is going on.
EOT
dpkg-deb --root-owner-group --build "$root" "$build/deb/chengmai_${version}_$arch.deb"
