#!/usr/bin/env bash
# The whole tutorial as a script, starting with the TokenRequest: the benchmark compares `kyconnect pair --app` with it. Arguments: kubectl, App, folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kubectl=$1 app=$2 folder=$3
"$kubectl" apply -f - >/dev/null <<EOF
apiVersion: applicationconnector.kyma-project.io/v1alpha1
kind: TokenRequest
metadata:
  name: $app
EOF
url=
for _ in $(seq 100); do
  url=$("$kubectl" get tokenrequest.applicationconnector.kyma-project.io "$app" -o 'jsonpath={.status.url}')
  [ -z "$url" ] || break
done
NODE_PORT=$("$kubectl" -n kyma-system get svc application-connector-ingress-nginx-ingress-controller -o 'jsonpath={.spec.ports[?(@.port==443)].nodePort}')
export NODE_PORT
bash "$here/tutorial.sh" "$url" "$folder"
"$kubectl" delete tokenrequest.applicationconnector.kyma-project.io "$app" >/dev/null
