#!/bin/sh
# Removes files from installed production dependencies that the service never loads.
# Usage: prune-dependencies.sh <folder with node_modules>      used by the Dockerfile
#
# test/image/contents.slow.test.ts checks that every file that Node would choose from a package is still there.
set -eu
cd "$1"

# Types, source maps, documents and tests of packages. Licences stay.
find node_modules -type f \( -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.map' -o -name '*.test.js' \
  -o -name '*.tsbuildinfo' -o -name '*.md' \) ! -iname '*licen[cs]e*' -delete
find node_modules -regextype posix-extended -type d \
  -regex '(.*/)?node_modules/(@[^/]+/)?[^@/][^/]*/(test|tests|docs|examples|benchmarks?|\.github)' -prune -exec rm -r {} +

# Builds for bundlers and browsers, beside the one that the package gives to Node.
find node_modules/@aws-sdk node_modules/@smithy -type d -name dist-es -prune -exec rm -r {} +
for unused in bullmq/dist/esm luxon/src luxon/build/amd luxon/build/cjs-browser luxon/build/global; do
  rm -r "node_modules/$unused"
done

# Libraries for twelve other systems.
find node_modules/sodium-native/prebuilds -mindepth 1 -maxdepth 1 ! -name "linux-$(node -p process.arch)*" \
  -exec rm -r {} +
find node_modules -type d -empty -delete
