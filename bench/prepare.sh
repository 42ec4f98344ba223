#!/bin/sh
# Prepares the benchmark. Usage: prepare.sh (from the root of the repository)
# As root on Debian, installs redis-server and, for the peer "nginx with Lua", nginx, libnginx-mod-http-lua,
# lua-luaossl, lua-cjson and lua-nginx-redis. Starts none of them.
# Builds the load generator with Go 1.24 or newer, which must be installed.
set -eu

sh scripts/debian-packages.sh redis-server nginx

missing=''
for package in libnginx-mod-http-lua lua-luaossl lua-cjson lua-nginx-redis; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "missing: install Debian's packages$missing (sudo apt-get install$missing)" >&2
    exit 1
  fi
  echo "installing Debian's packages$missing, for the peer nginx with Lua" >&2
  apt-get update -qq >&2
  # With RUNLEVEL=1 invoke-rc.d does not start the services.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
fi

command -v go >/dev/null 2>&1 || {
  echo 'missing: Go 1.24 or newer, which builds the load generator (https://go.dev)' >&2
  exit 1
}
bin=$(pwd)/build/bench/bin
mkdir -p "$bin"
(cd bench/load && go build -o "$bin/load" .)
