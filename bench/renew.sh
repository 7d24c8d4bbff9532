#!/usr/bin/env bash
# A renewal by hand: the benchmark compares `kyconnect renew` with it. Arguments: folder, the identity's folder, URL of the management info.
set -euo pipefail
cd "$1"
present=(--cert "$2/chain.crt" --key "$2/key.pem")
curl -K curlrc "${present[@]}" "$3" >management.json
subject="/$(jq -r .certificate.subject management.json | tr , /)"
openssl genrsa -out renewed.key 2048 2>/dev/null
openssl req -new -sha256 -out renewed.csr -key renewed.key -subj "$subject"
csr=$(openssl base64 -A -in renewed.csr)
url=$(jq -r --arg port "$NODE_PORT" '.urls.renewCertUrl | sub("kyma.local"; "kyma.local:" + $port)' management.json)
curl -K curlrc "${present[@]}" -H 'Content-Type: application/json' -d "{\"csr\":\"$csr\"}" "$url" >answer.json
jq -r .clientCrt answer.json | base64 -d >renewed.crt
jq -r .caCrt answer.json | base64 -d >renewed-ca.crt
openssl verify -CAfile renewed-ca.crt renewed.crt >/dev/null
curl -K curlrc --cert renewed.crt --key renewed.key "$3" >management.json
