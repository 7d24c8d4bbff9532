#!/usr/bin/env bash
# Packs the tarball, checks it, installs it into an empty folder and pairs from there, with nothing else around.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD

folder=$(mktemp -d)
sandbox=
finish() {
  # It writes its compiled code below HOME as it ends.
  if [ -n "$sandbox" ]; then
    kill "$sandbox" 2>/dev/null || true
    wait "$sandbox" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT

npx --no-install publint --strict
npm pack --silent --pack-destination "$folder" >/dev/null
tarball=$(echo "$folder"/kyconnect-*.tgz)
contents=$(tar -tzf "$tarball")
for file in bin/kyconnect.js dist/launch.js dist/index.js dist/types/index.d.ts dist/THIRD-PARTY.txt schema/service.schema.json LICENSE README.md; do
  grep -qx "package/$file" <<<"$contents" || { echo "the package lacks $file" >&2; exit 1; }
done
if grep -E '^package/(src|test|fixtures|\.ci)/' <<<"$contents"; then
  echo 'the package holds what belongs to the checkout' >&2
  exit 1
fi

mkdir "$folder/empty" "$folder/home"
cd "$folder/empty"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund "$tarball"
kyconnect="$folder/empty/node_modules/.bin/kyconnect"
export HOME="$folder/home"

"$kyconnect" sandbox >ready.json &
sandbox=$!
for _ in $(seq 200); do
  [ -s ready.json ] && break
  sleep 0.1
done
field() { node -p "const ready = JSON.parse(require('fs').readFileSync('ready.json', 'utf8')); $1"; }
eval "$(field 'Object.entries(ready.env).map(([name, value]) => `export ${name}="${value}"`).join("\n")')"
field ready.tokenUrls.demo | "$kyconnect" pair --app demo --url -
"$kyconnect" info --json >/dev/null
[ "$("$kyconnect" call metadata)" = '[]' ]

cat >consumer.ts <<'TS'
import { type Identity, KyconnectError, openIdentity, openKyconnect, TokenRejectedError } from 'kyconnect'

const kyconnect = await openKyconnect()
const identity: Identity = await kyconnect.identity('demo')
if (!identity.material.key.startsWith('-----BEGIN PRIVATE KEY-----')) throw new Error('no key')
if (!(new TokenRejectedError('x') instanceof KyconnectError)) throw new Error('no base class')
const live = await openIdentity({ profile: 'demo', onRenewed: ({ notAfter }) => notAfter.getTime() })
const response: Response = await live.fetch('metadata', { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(60_000) })
if (!response.ok) throw new Error(`status ${response.status}`)
await live.close()
TS
npm pkg set type=module >/dev/null
node "$checkout/node_modules/typescript/bin/tsc" --strict --target es2023 --module nodenext --types node \
  --typeRoots "$checkout/node_modules/@types" consumer.ts
node consumer.js
echo "the package of $(stat -c %s "$tarball") bytes pairs and calls from an empty folder"
