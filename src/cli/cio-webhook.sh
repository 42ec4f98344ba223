#!/bin/sh
# Runs cio-webhook, with the options that Node needs on its command line: for the `bin` of the package, the entry point of the
# image and `npm start`. Workers inherit them.
#
# --max-semi-space-size=16, in MB: what Node 20 has by default. Node 24 lets the young generation grow to four times that.
# V8 reads it only when it starts.
# --import: see serve/pid1-signals.ts.
folder=$(dirname "$(readlink -f "$0")")
exec node --max-semi-space-size=16 --import "$folder/serve/pid1-signals.js" "$folder/main.js" "$@"
