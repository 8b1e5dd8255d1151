#!/usr/bin/env bash
# Measures postern against nginx and prints the table of docs/benchmarks.md. Options: ./bench.sh --help
set -euo pipefail
cd "$(dirname "$0")"

case "$(uname -m)" in
  aarch64) runtime=linux-arm64 ;;
  *) runtime=linux-x64 ;;
esac

packages=(clang binutils libc6-dev zlib1g-dev)    # linking the native binary
peer=/usr/sbin/nginx
words=("$@")
for ((i = 0; i < ${#words[@]}; i++)); do
  case "${words[i]}" in
    --all) packages+=(haproxy dovecot-imapd) ;;
    --peer) peer=${words[i + 1]:-} ;;
    --hold) peer=none ;;
  esac
done
[ "$peer" != /usr/sbin/nginx ] || packages+=(nginx-light libnginx-mod-mail)

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "bench.sh: packages are missing and neither root nor sudo is available: ${missing[*]}" >&2
    exit 2
  fi
}

install_missing() {
  missing=()
  for package in "${packages[@]}"; do
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
      missing+=("$package")
    fi
  done
  [ "${#missing[@]}" -gt 0 ] || return 0

  # Whether a package's service may start after its installation: no.
  local policy=/usr/sbin/policy-rc.d policy_is_ours=no status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    policy_is_ours=yes
  fi
  {
    as_root apt-get update -q &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
  } >&2 || status=$?
  if [ "$policy_is_ours" = yes ]; then
    as_root rm -f "$policy"
  fi
  return "$status"
}

# No result is 2; 1 would say that a goal is missed.
install_missing || exit 2
{
  dotnet publish src/Postern.Server -c Release -r "$runtime" -o out --nologo -v quiet &&
    dotnet publish bench/Postern.Bench -c Release -r "$runtime" -o artifacts/bench --nologo -v quiet
} || exit 2
exec artifacts/bench/postern-bench "$@"
