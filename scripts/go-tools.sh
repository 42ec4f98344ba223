#!/bin/sh
# Installs programs that are Go modules, and prints the folder they are in.
# Usage: go-tools.sh actionlint|caddy|helm|kubeconform ...
#
# Each version is built once, into the user's cache. GO_TOOLS is the path of a folder that has them all already.
set -eu

# The version of Go that the newest of these modules asks for. Debian 12 has 1.19.
GO_MINOR=26

if [ -n "${GO_TOOLS:-}" ]; then
  echo "$GO_TOOLS"
  exit 0
fi

module() {
  case $1 in
  actionlint) echo github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 ;;
  caddy) echo github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9 ;;
  helm) echo helm.sh/helm/v3/cmd/helm@v3.22.0 ;;
  kubeconform) echo github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0 ;;
  *)
    echo "go-tools.sh: unknown program $1" >&2
    exit 1
    ;;
  esac
}

home=${XDG_CACHE_HOME:-$HOME/.cache}/cio-webhook/go-tools
mkdir -p "$home"
for program in "$@"; do
  wanted=$(module "$program")
  # The file beside the program says which version it is.
  if [ -x "$home/$program" ] && [ "$(cat "$home/$program.module" 2>/dev/null)" = "$wanted" ]; then continue; fi
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  # From 1.21 on, go fetches the version that a module asks for, unless GOTOOLCHAIN forbids it.
  if [ "${minor:-0}" -lt 21 ] || { [ "$minor" -lt "$GO_MINOR" ] && [ "$(go env GOTOOLCHAIN)" = local ]; }; then
    echo "cannot build $program: it needs Go 1.$GO_MINOR, this is $(go version 2>/dev/null || echo none); put a newer go first in the PATH" >&2
    exit 1
  fi
  echo "building $wanted into $home" >&2
  if ! GOBIN=$home CGO_ENABLED=0 go install "$wanted" >"$home/$program.log" 2>&1; then
    tail -n 20 "$home/$program.log" >&2
    echo "cannot build $wanted (the output of go is above)" >&2
    exit 1
  fi
  echo "$wanted" >"$home/$program.module"
done
echo "$home"
