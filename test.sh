#!/usr/bin/env bash
# Installs the real programs the tests talk to, checks format, builds, publishes the native binary and runs every test.
# Needs the .NET SDK and Debian's package manager, nothing else. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")"

passed=0
failed=0
done_testing=no

finish() {
  local code=$?
  # Whatever stopped us before the tests were through is a failure of its own.
  if [ "$done_testing" = no ]; then
    failed=$((failed + 1))
    [ "$code" -ne 0 ] || code=1
  fi
  echo "$passed passed, $failed failed"
  exit "$code"
}
trap finish EXIT

step() { printf '\n== %s\n' "$*"; }

# --- the programs the tests need

packages=(
  clang binutils libc6-dev zlib1g-dev             # linking the native binary
  nginx-light libnginx-mod-mail                   # the oracle
  dovecot-imapd dovecot-pop3d dovecot-lmtpd       # real upstreams
  postfix
  curl isync python3-minimal python3 openssl      # real clients
  swaks libnet-ssleay-perl msmtp fetchmail
  softhsm2 libengine-pkcs11-openssl               # a key in a token
  sslscan                                         # a scanner's judgement
  faketime                                        # a wall clock that jumps
  procps
  valgrind                                        # counts instructions, watches native memory
  dpkg mandoc                                     # the package and its manual pages
)

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "test.sh: packages are missing and neither root nor sudo is available: ${missing[*]}" >&2
    exit 1
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

  # Installing nginx, dovecot or postfix must not start them: the tests start their own, from their own files.
  local policy=/usr/sbin/policy-rc.d policy_is_ours=no status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    policy_is_ours=yes
  fi
  {
    as_root apt-get update -q &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
  } || status=$?
  if [ "$policy_is_ours" = yes ]; then
    as_root rm -f "$policy"
  fi
  return "$status"
}

step 'packages'
command -v dotnet >/dev/null || { echo 'test.sh: the .NET SDK is missing (global.json says which one)' >&2; exit 1; }
install_missing

# --- build

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en

case "$(uname -m)" in
  x86_64) rid=linux-x64 ;;
  aarch64) rid=linux-arm64 ;;
  *) echo "test.sh: no native binary for $(uname -m)" >&2; exit 1 ;;
esac

step 'build'
dotnet build postern.slnx -c Release

step 'format'
dotnet format postern.slnx --verify-no-changes --no-restore

step 'publish'
log=$(mktemp)
dotnet publish src/Postern.Server -c Release -r "$rid" -o out | tee "$log"
if grep -qE 'warning|IL[0-9]{4}' "$log"; then
  echo 'test.sh: publishing must not warn' >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
POSTERN_BINARY="$PWD/out/postern"
export POSTERN_BINARY
[ -x "$POSTERN_BINARY" ] || { echo 'test.sh: out/postern was not made' >&2; exit 1; }

# --- tests

# A loop of logins is part of the tests; 100000 of them take a few minutes more.
export POSTERN_LOGINS="${POSTERN_LOGINS:-5000}"

for project in test/*/*.csproj; do
  grep -q 'Include="xunit.v3"' "$project" || continue
  name=$(basename "$project" .csproj)
  step "$name"
  log=$(mktemp)
  code=0
  timeout --kill-after=10 900 "test/$name/bin/Release/net10.0/$name" -noColor -noLogo -failSkips 2>&1 | tee "$log" || code=$?
  summary=$(grep -E 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -1 || true)
  rm -f "$log"
  if [[ $summary =~ Total:\ ([0-9]+),\ Errors:\ ([0-9]+),\ Failed:\ ([0-9]+),\ Skipped:\ ([0-9]+) ]]; then
    bad=$((BASH_REMATCH[2] + BASH_REMATCH[3] + BASH_REMATCH[4]))
    failed=$((failed + bad))
    passed=$((passed + BASH_REMATCH[1] - BASH_REMATCH[3] - BASH_REMATCH[4]))
    # Ended badly though every test was well: that too is a failure.
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
      failed=$((failed + 1))
    fi
    if [ "${BASH_REMATCH[1]}" -eq 0 ]; then
      echo "test.sh: $name ran no tests" >&2
      failed=$((failed + 1))
    fi
  else
    echo "test.sh: $name gave no summary (exit code $code)" >&2
    failed=$((failed + 1))
  fi
done

step 'soak'
# Minutes; ./soak.sh runs it as long as you like. What happens follows from the seed, so that a failure can be looked into.
if test/Postern.Soak/bin/Release/net10.0/Postern.Soak "${POSTERN_SOAK_MINUTES:-0.35}"; then
  passed=$((passed + 1))
else
  failed=$((failed + 1))
fi

step 'fuzz'
# Seconds for all targets together; ./fuzz.sh runs one as long as you like.
if fuzz/Postern.Fuzz/bin/Release/net10.0/Postern.Fuzz all "${POSTERN_FUZZ_SECONDS:-40}"; then
  passed=$((passed + 1))
else
  failed=$((failed + 1))
fi

done_testing=yes
printf '\n'
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
