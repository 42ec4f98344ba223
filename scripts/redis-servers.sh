#!/bin/sh
# Installs other servers than Debian's Redis 7.0, and prints a folder with a `redis-server` and a `redis-cli` of that kind.
# Usage: PATH="$(sh scripts/redis-servers.sh redis-8|valkey-8):$PATH" COMMAND
#
# The packages of Debian 13 and their libraries are unpacked into the user's cache, once, and nothing is installed in the
# system. They come from the mirror that apt uses for this Debian. To update them, remove that folder.
set -eu

case ${1:-} in
redis-8 | valkey-8) ;;
*)
  echo 'usage: redis-servers.sh redis-8|valkey-8' >&2
  exit 1
  ;;
esac

fail() {
  echo "cannot install Redis 8 and Valkey 8: $1" >&2
  exit 1
}

RELEASE=trixie
home=${XDG_CACHE_HOME:-$HOME/.cache}/cio-webhook/redis-servers

# wrapper PROGRAM NAME FOLDER: writes a command that runs the program with the libraries of its own release. It is no chroot:
# the program sees all files of the system.
wrapper() {
  {
    echo '#!/bin/sh'
    # shellcheck disable=SC2016 # for the shell that runs it
    echo 'lib=$(echo "${0%/*}"/../root/usr/lib/*-linux-gnu*)'
    # shellcheck disable=SC2016
    echo 'exec "$lib"/ld-linux*.so.* --library-path "$lib" --argv0 '"$2"' "${0%/*}/../root/usr/bin/'"$1"'" "$@"'
  } >"$3/$2"
  chmod +x "$3/$2"
}

install() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail 'this system has no apt-get and dpkg-deb'
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  # shellcheck disable=SC2016 # placeholders of apt
  mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
    sed -n "s/^$codename //p" | head -n 1)
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -n "$mirror" ] && [ -r "$keys" ] || fail "apt has no mirror of Debian $codename, or $keys is missing"

  echo "installing Redis 8 and Valkey 8 of Debian $RELEASE into $home" >&2
  mkdir -p "${home%/*}"
  work=$(mktemp -d "$home.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # The _apt user, as whom apt downloads, needs access to it.
  chmod 755 "$work"
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
  : >"$work/status"
  echo "deb [signed-by=$keys] $mirror $RELEASE main" >"$work/sources.list"
  # With an empty list of installed packages, apt also downloads the libraries.
  apt() {
    apt-get -q -o Dir::State="$work" -o Dir::State::status="$work/status" -o Dir::Cache="$work" \
      -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Debug::NoLocking=1 \
      -o APT::Install-Recommends=false "$@"
  }
  if ! { apt update && apt -y --download-only install redis-server valkey-server; } >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    fail 'the output of apt-get is above'
  fi
  for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
  for server in redis valkey; do
    mkdir "$work/$server-8"
    for program in server cli; do wrapper "$server-$program" "redis-$program" "$work/$server-8"; done
  done
  rm -rf "$work/lists" "$work/archives"
  # Another process may have been faster.
  mv -T "$work" "$home" 2>/dev/null || [ -d "$home" ] || fail "cannot write $home"
}

[ -d "$home" ] || install
"$home/$1/redis-server" --version >&2
echo "$home/$1"
