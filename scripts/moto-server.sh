#!/bin/sh
# Prints the path of moto_server, a local implementation of AWS, for the tests of AWS Secrets Manager.
# It is installed from PyPI into build/moto on first use. MOTO_SERVER is the path of an existing one.
set -eu

VERSION=5.2.5
home=build/moto

if [ -n "${MOTO_SERVER:-}" ]; then
  echo "$MOTO_SERVER"
  exit 0
fi
if [ ! -x "$home/bin/moto_server" ]; then
  echo "installing moto $VERSION from PyPI into $home" >&2
  python3 -m venv "$home" >&2
  "$home/bin/pip" install --quiet --disable-pip-version-check "moto[server,secretsmanager]==$VERSION" >&2
fi
echo "$PWD/$home/bin/moto_server"
