#!/bin/sh
# Prints the path of Jaeger, which receives and shows traces, for the tests of traces. It is built once, into the user's
# cache. JAEGER is the path of an existing one.
#
# `go install` refuses its module, which has replace directives: its source is copied and built as the main module.
set -eu

MODULE=github.com/jaegertracing/jaeger@v1.76.0

if [ -n "${JAEGER:-}" ]; then
  echo "$JAEGER"
  exit 0
fi
home=${XDG_CACHE_HOME:-$HOME/.cache}/cio-webhook/go-tools
program=$home/jaeger
if ! [ -x "$program" ] || [ "$(cat "$program.module" 2>/dev/null)" != "$MODULE" ]; then
  mkdir -p "$home"
  echo "building $MODULE into $home: this takes some minutes" >&2
  source=$(mktemp -d)
  trap 'rm -rf "$source"' EXIT
  folder=$(go mod download -json "$MODULE" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  cp -R "$folder/." "$source"
  chmod -R u+w "$source"
  (cd "$source" && CGO_ENABLED=0 go build -o "$program" ./cmd/all-in-one >&2)
  echo "$MODULE" >"$program.module"
fi
echo "$program"
