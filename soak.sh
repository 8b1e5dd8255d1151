#!/usr/bin/env bash
# ./soak.sh MINUTES [SEED]: mixed load on the native binary for so long: logins, idle sessions, bulk, refused logins, broken auth servers and
# backends, clients without manners, reloads. Every byte is compared; memory and descriptors must stay flat. As root: it starts a master.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -ge 1 ] || { echo 'usage: ./soak.sh MINUTES [SEED]' >&2; exit 2; }
case "$(uname -m)" in
  x86_64) rid=linux-x64 ;;
  aarch64) rid=linux-arm64 ;;
  *) echo "soak.sh: no native binary for $(uname -m)" >&2; exit 1 ;;
esac
dotnet build test/Postern.Soak -c Release -nologo -v q
if [ -z "${POSTERN_BINARY:-}" ]; then
  dotnet publish src/Postern.Server -c Release -r "$rid" -o out -nologo -v q
  export POSTERN_BINARY="$PWD/out/postern"
fi
exec test/Postern.Soak/bin/Release/net10.0/Postern.Soak "$@"
