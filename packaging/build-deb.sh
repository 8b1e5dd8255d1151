#!/usr/bin/env bash
# Builds the Debian package of postern:
#
#     packaging/build-deb.sh [--binary FILE] [--version VERSION] [--maintainer 'NAME <ADDRESS>'] [--output DIRECTORY]
#
# Publishes the native binary with the package's paths, then packs it. --binary packs a binary that is there already, whose own
# default paths then stay as they are. The last line of the output is the package's path.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=
version=
maintainer='The postern authors <postern@localhost>'
output=$PWD/artifacts
while [ $# -gt 0 ]; do
  case "$1" in
    --binary) binary=$(realpath "$2") ;;
    --version) version=$2 ;;
    --maintainer) maintainer=$2 ;;
    --output) output=$(realpath -m "$2") ;;
    *)
      echo "build-deb.sh: unknown option $1" >&2
      exit 2
      ;;
  esac
  shift 2
done

for tool in dpkg-deb objdump gzip; do
  command -v "$tool" >/dev/null || { echo "build-deb.sh: $tool is missing (apt-get install dpkg binutils gzip)" >&2; exit 1; }
done

[ -n "$version" ] || version=$(sed -n 's:.*<Version>\(.*\)</Version>.*:\1:p' Directory.Build.props)
case "$(uname -m)" in
  x86_64) architecture=amd64 rid=linux-x64 ;;
  aarch64) architecture=arm64 rid=linux-arm64 ;;
  *) echo "build-deb.sh: no native binary for $(uname -m)" >&2; exit 1 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

if [ -z "$binary" ]; then
  command -v dotnet >/dev/null || { echo 'build-deb.sh: the .NET SDK is missing (global.json says which one)' >&2; exit 1; }
  # Not in the usual obj folders: other publications must not be given this one's paths.
  dotnet publish src/Postern.Server -c Release -r "$rid" --artifacts-path "$work/build" -o "$work/publish" -nologo -v q \
    -p:PosternPrefix=/etc/postern/ -p:PosternConfPath=/etc/postern/postern.conf \
    -p:PosternPidPath=/run/postern/postern.pid -p:PosternErrorLogPath=/var/log/postern/error.log >&2
  binary=$work/publish/postern
fi

# --- files

install -D -m 0755 "$binary" "$root/usr/sbin/postern"
install -D -m 0644 packaging/postern.conf "$root/etc/postern/postern.conf"
install -D -m 0644 packaging/logrotate "$root/etc/logrotate.d/postern"
install -D -m 0644 packaging/postern.service "$root/lib/systemd/system/postern.service"
install -D -m 0644 packaging/tmpfiles.conf "$root/usr/lib/tmpfiles.d/postern.conf"
install -D -m 0755 packaging/upgrade-binary "$root/usr/lib/postern/upgrade-binary"

for page in postern.8 postern.conf.5; do
  install -D -m 0644 "packaging/$page" "$root/usr/share/man/man${page##*.}/$page"
  gzip -9n "$root/usr/share/man/man${page##*.}/$page"
done

documents=$root/usr/share/doc/postern
for page in directives operations migrating-from-nginx parity tls benchmarks; do
  install -D -m 0644 "docs/$page.md" "$documents/$page.md"
done

date=$(git log -1 --format=%ct 2>/dev/null || date +%s)
date=${SOURCE_DATE_EPOCH:-$date}
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: postern\n\n'
  printf 'Files: *\nCopyright: %s\nLicense: Expat\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
  sed -e '1,/^Copyright/d' -e '/./!d' -e 's/^/ /' LICENSE
} >"$documents/copyright"
printf 'postern (%s) unstable; urgency=medium\n\n  * Release %s.\n\n -- %s  %s\n' \
  "$version" "$version" "$maintainer" "$(date -u -R -d "@$date")" | gzip -9n >"$documents/changelog.gz"
chmod 0644 "$documents/changelog.gz" "$documents/copyright"

# --- control

mkdir "$root/DEBIAN"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$root/DEBIAN/"
(cd "$root" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) >"$root/DEBIAN/conffiles"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
glibc=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
cat >"$root/DEBIAN/control" <<CONTROL
Package: postern
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: adduser, init-system-helpers (>= 1.51), libc6 (>= ${glibc#GLIBC_}), libssl3t64 (>= 3.0.0) | libssl3 (>= 3.0.0)
Recommends: logrotate
Section: mail
Priority: optional
Description: proxy for IMAP, POP3 and SMTP that reads nginx's configuration
 postern stands in front of mail servers. It terminates TLS, asks an auth
 server over HTTP who the client is, and joins it to the right backend. The
 mail block of an nginx configuration works in it unchanged.
CONTROL

# --- package

find "$root" -type d -exec chmod 0755 {} +
find "$root" -exec touch --no-dereference --date="@$date" {} +
mkdir -p "$output"
package=$output/postern_${version}_$architecture.deb
SOURCE_DATE_EPOCH=$date dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
echo "$package"
