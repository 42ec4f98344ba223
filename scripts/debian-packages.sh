#!/bin/sh
# Sees to it that programs are there: usage: debian-packages.sh PROGRAM ...
# What is missing is installed from Debian's packages where that is possible (root, apt-get); elsewhere one line
# says what to type. A package's own service is not started: the tests and `npm start` run servers of their own.
set -eu

package_of() {
  case $1 in
  nginx) echo nginx-light ;;
  promtool) echo prometheus ;;
  epmd) echo erlang-base ;;
  *) echo "$1" ;;
  esac
}

missing=''
for program in "$@"; do
  command -v "$program" >/dev/null 2>&1 || PATH=$PATH:/usr/sbin command -v "$program" >/dev/null 2>&1 ||
    missing="$missing $(package_of "$program")"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "missing programs: install Debian's packages$missing (sudo apt-get install$missing)" >&2
  exit 1
fi

echo "installing Debian's packages$missing" >&2
log=$(mktemp)
# RUNLEVEL=1 keeps invoke-rc.d from starting the services.
if ! { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "could not install$missing: install them by hand and try again" >&2
  exit 1
fi
rm -f "$log"
