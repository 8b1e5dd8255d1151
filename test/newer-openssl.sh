#!/usr/bin/env bash
# Runs the published postern (out/postern) with a newer OpenSSL than the system's, and the TLS tests with it.
#
#   test/newer-openssl.sh FOLDER [trixie|sid|openssl4] [arguments of the test program]
#
# FOLDER gets a root file system of that Debian suite (openssl4: sid with libssl4 of experimental), fetched by apt from the mirror of
# this machine; the packages are unpacked, not installed. The programs run there by chroot(8) in mount namespaces of their own. Needs
# root. Without arguments for it the test program is not run, only what this script checks itself.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
suite=${2:-trixie}
shift $(($# < 2 ? $# : 2))
root=$folder/$suite
[ -x out/postern ] || { echo 'newer-openssl.sh: publish out/postern first, as test.sh does' >&2; exit 1; }

fetch() {
  local uri base=$suite wanted=(openssl nginx-light libnginx-mod-mail softhsm2 pkcs11-provider)
  uri=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
  [ -n "$uri" ] || uri=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' /etc/apt/sources.list | head -n 1)
  [ "$suite" != openssl4 ] || { base=sid wanted=(softhsm2); }
  mkdir -p "$root"/apt/{lists/partial,archives/partial}
  : > "$root/apt/status"
  local suites=("$base")
  [ "$suite" != openssl4 ] || suites+=(experimental)
  for one in "${suites[@]}"; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $one main"
  done > "$root/apt/sources.list"
  {
    echo "Dir::State::lists \"$root/apt/lists\";"
    echo "Dir::State::status \"$root/apt/status\";"
    echo "Dir::Cache::archives \"$root/apt/archives\";"
    echo "Dir::Etc::sourcelist \"$root/apt/sources.list\";"
    echo 'Dir::Etc::sourceparts "-"; Dir::Etc::preferencesparts "-"; APT::Install-Recommends "false"; APT::Sandbox::User "root";'
  } > "$root/apt/apt.conf"
  export APT_CONFIG=$root/apt/apt.conf
  apt-get -q update
  apt-get -q -y --download-only install base-files libc6 bash coreutils "${wanted[@]}"
  [ "$suite" != openssl4 ] || (cd "$root/apt/archives" && apt-get -q download libssl4/experimental openssl/experimental)
  for package in "$root"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink
  done
  [ "$suite" != openssl4 ] || find "$root/usr/lib" \( -name 'libssl.so.3' -o -name 'libcrypto.so.3' \) -delete
  cp /etc/passwd /etc/group /etc/hosts "$root/etc/"
  mkdir -p "$root"/{proc,dev,sys,tmp,var/log/nginx,var/lib/nginx} "$root$repository"
  unset APT_CONFIG
  touch "$root/apt/complete"
}

# The program becomes this process, so that signals and process ids are the program's own.
wrap() {
  mkdir -p "$folder/bin/$suite"
  cat > "$folder/bin/$suite/$1" <<END
#!/bin/sh
exec unshare -m sh -c '
here=\$1; shift
for one in /proc /dev /sys "$repository"; do mount --rbind "\$one" "$root\$one" || exit 99; done
mount --bind /tmp "$root/tmp" || exit 99
exec chroot "$root" /bin/bash -c "cd \"\\\$0\" && exec \"\\\$@\"" "\$here" $2 "\$@"' sh "\$PWD" "\$@"
END
  chmod +x "$folder/bin/$suite/$1"
}

[ -e "$root/apt/complete" ] || fetch
wrap postern "$repository/out/postern"
wrap openssl /usr/bin/openssl
wrap nginx /usr/sbin/nginx
bin=$folder/bin/$suite
"$bin/postern" -V 2>&1 | grep OpenSSL

# --- what the system's own OpenSSL cannot show

work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ec.key -out ec.pem -days 9 -subj /CN=localhost 2>/dev/null
first=27301
cat > postern.conf <<END
daemon off; master_process off; pid $work/pid; error_log $work/error.log info;
events { worker_connections 64; }
mail { auth_http 127.0.0.1:1; ssl_certificate ec.pem; ssl_certificate_key ec.key;
server { protocol imap; listen 127.0.0.1:$first ssl; ssl_certificate_compression on; }
server { protocol imap; listen 127.0.0.1:$((first + 1)) ssl; ssl_session_cache shared:S:1m; }
server { protocol imap; listen 127.0.0.1:$((first + 2)) ssl; ssl_session_cache shared:S:1m; ssl_session_tickets off; }
server { protocol imap; listen 127.0.0.1:$((first + 3)) ssl; ssl_ecdh_curve ?nosuch:X25519; } }
END
"$bin/postern" -p "$work/" -e start.log -c postern.conf > start.txt 2>&1 &
pid=$!
for _ in $(seq 50); do
  ! (exec 3<> "/dev/tcp/127.0.0.1/$first") 2>/dev/null || break
  sleep 0.1
done
kill -0 "$pid" || { cat start.txt >&2; exit 1; }

failed=0
expect() { # what, pattern, number of the server, arguments of s_client
  local what=$1 pattern=$2 port=$((first + $3))
  shift 3
  if { sleep 0.7; printf 'z LOGOUT\r\n'; } | "$bin/openssl" s_client -connect "127.0.0.1:$port" -ign_eof "$@" > client.txt 2>&1 && grep -qE "$pattern" client.txt; then
    echo "ok: $what"
  else
    echo "FAILED: $what"
    tail -n 20 client.txt
    failed=1
  fi
}
expect 'certificate compressed' 'CompressedCertificate' 0 -tls1_3 -msg
expect 'certificate not compressed for those who do not know it' '<<< TLS 1.3, .* Certificate$' 0 -tls1_3 -msg -no_rx_cert_comp
expect 'hybrid key exchange by default' 'group: X25519MLKEM768' 1 -tls1_3
expect 'a group that may be unknown' 'Peer Temp Key: X25519' 3 -tls1_3
for number in 1 2; do
  for version in -tls1_2 -tls1_3; do
    expect "session of server $number $version" '^New, ' "$number" "$version" -sess_out "$work/session"
    expect "session of server $number $version again" '^Reused, ' "$number" "$version" -sess_in "$work/session"
  done
done
kill "$pid"
wait "$pid" || true
pid=
! grep -E '\[(warn|error|crit|alert|emerg)\]' start.txt error.log || failed=1
[ "$failed" -eq 0 ] || exit 1

[ $# -eq 0 ] || {
  cd "$repository"
  [ "$suite" = openssl4 ] || export NGINX_BINARY="$bin/nginx"
  POSTERN_BINARY="$bin/postern" test/Postern.TlsTests/bin/Release/net10.0/Postern.TlsTests -noColor "$@"
}
