#!/usr/bin/env bash
# The tutorial's commands as a script: the benchmark compares `kyconnect pair` with it. Arguments: token URL, folder, and optionally a key.
set -euo pipefail
cd "$2"
curl -K curlrc "$1" >info.json
subject="/$(jq -r .certificate.subject info.json | tr , /)"
if [ $# -gt 2 ]; then cp "$3" generated.key; else openssl genrsa -out generated.key 2048 2>/dev/null; fi
openssl req -new -sha256 -out generated.csr -key generated.key -subj "$subject"
csr=$(openssl base64 -A -in generated.csr)
curl -K curlrc -H 'Content-Type: application/json' -d "{\"csr\":\"$csr\"}" "$(jq -r .csrUrl info.json)" >answer.json
jq -r .crt answer.json | base64 -d >generated.crt
curl -K curlrc --cert generated.crt --key generated.key "https://gateway.kyma.local:$NODE_PORT/v1/applications/management/info" >management.json
