#!/bin/sh
# Installs the programs that an npm script needs, or prints the command that does.
# Usage: debian-packages.sh [--start] PROGRAM|package:NAME ...
#
# Debian packages are installed only as root on Debian, or on a distribution based on it, unless SKIP_PACKAGES=1.
# Otherwise the command is printed, and the exit status is 1 because the npm script cannot do its work.
# --start is for `npm start`. It exits with 0 in any case: without a redis-server, the service itself reports what it
# lacks, and the address of a Redis can also come from a secrets provider.
# package:NAME is a Debian package without a program of its own.
set -eu

if [ "${1:-}" = --start ]; then
  shift
  start=yes
  # The service runs a private redis-server only without a Redis of the user, and never in production.
  [ -z "${REDIS_URL:-}${REDIS_URL_FILE:-}${REDIS_SENTINELS:-}${REDIS_CLUSTER_NODES:-}" ] || exit 0
  [ "${NODE_ENV:-}" != production ] || exit 0
fi

is_installed() {
  case $1 in
  package:*) [ "$(dpkg-query -W -f '${db:Status-Status}' "${1#package:}" 2>/dev/null)" = installed ] ;;
  # Debian has servers in /usr/sbin, which is not in everyone's PATH.
  *) (PATH=$PATH:/usr/sbin && command -v "$1" >/dev/null) ;;
  esac
}

debian_package() {
  case $1 in
  go) echo golang-go ;;
  javac) echo default-jdk-headless ;;
  mvn) echo maven ;;
  nginx) echo nginx-light ;;
  php) echo php-cli ;;
  promtool) echo prometheus ;;
  *) echo "${1#package:}" ;;
  esac
}

homebrew_formula() {
  case $1 in
  faketime) echo libfaketime ;;
  javac) echo openjdk ;;
  mvn) echo maven ;;
  promtool) echo prometheus ;;
  rabbitmq-server) echo rabbitmq ;;
  redis-server) echo redis ;;
  package:*) ;; # Parts of Debian's nginx, which Homebrew does not have.
  *) echo "$1" ;;
  esac
}

is_debian() {
  grep -Eqs '^ID(_LIKE)?=.*debian' /etc/os-release
}

missing=''
debian=''
homebrew=''
for program in "$@"; do
  is_installed "$program" && continue
  missing="$missing ${program#package:}"
  debian="$debian $(debian_package "$program")"
  formula=$(homebrew_formula "$program")
  homebrew="$homebrew${formula:+ $formula}"
done
[ -n "$missing" ] || exit 0

print_command() {
  echo "missing:$missing; install with: $1" >&2
  [ -n "${start:-}" ] || exit 1
  exit 0
}
if [ "$(uname -s)" = Darwin ]; then print_command "brew install$homebrew"; fi
if ! is_debian; then print_command "the package manager of this system (on Debian: apt-get install$debian)"; fi
if [ "$(id -u)" != 0 ]; then print_command "sudo apt-get install$debian"; fi
if [ "${SKIP_PACKAGES:-}" = 1 ]; then print_command "apt-get install$debian"; fi

echo "installing Debian packages:$debian (SKIP_PACKAGES=1 prevents this)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# RUNLEVEL=1 keeps invoke-rc.d from starting the services: tests and `npm start` run their own servers.
# shellcheck disable=SC2086 # several packages
if ! { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends $debian; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "cannot install$debian with apt-get (its output is above)" >&2
  [ -n "${start:-}" ] || exit 1
fi
