#!/bin/sh
# Prints the folder of the schemas that the tests of the Helm chart need. It is filled on first use, in build/kubernetes:
#   schemas/<version>/   of Kubernetes itself, from the PyPI package kubernetes-validate, for kubeconform
#   node_modules/        models of the Gateway API, KEDA, the Prometheus operator and External Secrets, from npm
set -eu

VALIDATE=1.37.0
# The oldest version that the chart supports, and the newest one.
VERSIONS='1.27 1.37'
MODELS='@kubernetes-models/gateway-api@2.0.0 @kubernetes-models/keda@2.0.0 @kubernetes-models/prometheus-operator@6.0.0 @kubernetes-models/external-secrets@2.0.0'
home=build/kubernetes

if [ "$(cat "$home/complete" 2>/dev/null)" != "$VALIDATE $VERSIONS $MODELS" ]; then
  echo "installing kubernetes-validate $VALIDATE and $MODELS into $home" >&2
  rm -rf "$home"
  mkdir -p "$home"
  python3 -m venv "$home/python" >&2
  "$home/python/bin/pip" install --quiet --disable-pip-version-check --no-deps "kubernetes-validate==$VALIDATE" >&2
  mkdir "$home/schemas"
  for version in $VERSIONS; do
    mv "$home"/python/lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema/"v$version.0-local-strict" \
      "$home/schemas/$version"
    # The definitions are in the same folder. By the ids in the files, kubeconform would look for them on the web.
    sed -i -e 's|"/api/_definitions.json|"_definitions.json|' -e 's|^  "\$id": .*|  "$comment": ""|' \
      "$home/schemas/$version"/*.json
  done
  rm -rf "$home/python"
  # shellcheck disable=SC2086 # several packages
  npm install --silent --no-audit --no-fund --no-package-lock --prefix "$home" $MODELS >&2
  echo "$VALIDATE $VERSIONS $MODELS" >"$home/complete"
fi
echo "$PWD/$home"
