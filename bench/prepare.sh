#!/bin/sh
# Installs the programs that the benchmark compares or uses. Usage: prepare.sh (from the root of the repository)
#
# The peer "nginx with Lua" needs Debian packages that other systems do not have. Go (1.24 or newer) builds the load generator.
set -eu

sh scripts/debian-packages.sh redis-server nginx package:libnginx-mod-http-lua package:lua-luaossl \
  package:lua-cjson package:lua-nginx-redis

command -v go >/dev/null 2>&1 || {
  echo 'missing: Go 1.24 or newer, for the load generator; install it from https://go.dev' >&2
  exit 1
}
bin=$(pwd)/build/bench/bin
mkdir -p "$bin"
(cd bench/load && go build -o "$bin/load" .)
