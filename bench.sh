#!/bin/sh
# Measures postern against nginx and prints the table of docs/benchmarks.md. Options: ./bench.sh --help
set -eu
cd "$(dirname "$0")"

case "$(uname -m)" in
  aarch64) runtime=linux-arm64 ;;
  *) runtime=linux-x64 ;;
esac

# Whether a package's service may start after its installation: no.
forbid_services() {
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

if [ ! -x /usr/sbin/nginx ] || [ ! -e /usr/lib/nginx/modules/ngx_mail_module.so ]; then
  policy=no
  [ -e /usr/sbin/policy-rc.d ] || { forbid_services; policy=ours; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q nginx-light libnginx-mod-mail
  [ "$policy" = no ] || rm -f /usr/sbin/policy-rc.d
fi

dotnet publish src/Postern.Server -c Release -r "$runtime" -o out --nologo -v quiet
dotnet publish bench/Postern.Bench -c Release -r "$runtime" -o artifacts/bench --nologo -v quiet
exec artifacts/bench/postern-bench "$@"
