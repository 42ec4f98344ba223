#!/bin/sh
# Proves the image and docker-compose.yml with a real Docker engine: builds them from a clone of the commit at
# hand, runs them, and puts nginx, signals and faults at them. Prints TAP; takes some minutes.
# Removes what it starts; the layers of the build stay behind as the builder's cache.
#
# Needs an engine, the images node:24-bookworm-slim and redis:7-bookworm (pulled where they are missing), and
# docker-compose, 1.29 or newer. DOCKER_COMPOSE names another command, "docker compose" for one.
set -eu
cd "$(dirname "$0")/.."

docker info >/dev/null 2>&1 || {
  echo 'no Docker engine answers: start one, or set DOCKER_HOST' >&2
  exit 2
}
sh scripts/debian-packages.sh redis-server nginx
npm run --silent build:test
exec npx tap --disable-coverage --reporter=tap --jobs=1 --timeout=1800 build/test/image/*.test.js
