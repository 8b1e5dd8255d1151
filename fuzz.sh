#!/usr/bin/env bash
# ./fuzz.sh TARGET|all SECONDS [SEED] [--keep]: fuzzes a parser, guided by coverage. An input that breaks it is left in fuzz/findings
# and makes the run fail. --keep adds inputs that reach new code to fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -ge 2 ] || { echo 'usage: ./fuzz.sh TARGET|all SECONDS [SEED] [--keep]' >&2; exit 2; }
dotnet build fuzz/Postern.Fuzz -c Release -nologo -v q
exec fuzz/Postern.Fuzz/bin/Release/net10.0/Postern.Fuzz "$@"
