#!/usr/bin/env bash
# Makes sure the real programs that the tests talk to are there: installs them with apt-get where that needs no asking.
set -euo pipefail

declare -A package=([nginx]=nginx-light [openssl]=openssl [curl]=curl [jq]=jq)
missing=()
for tool in nginx openssl curl jq; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$tool" >/dev/null 2>&1 || missing+=("${package[$tool]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true >/dev/null 2>&1; then
    echo "The tests need ${missing[*]}; install them with: sudo apt-get install -y ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo -n)
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "The tests need ${missing[*]}, and there is no apt-get here: install them with this system's package manager." >&2
  exit 1
fi
echo "The tests need ${missing[*]}: installing with apt-get." >&2
export DEBIAN_FRONTEND=noninteractive
# Debian starts a server it installs; the tests start their own.
policy=$(mktemp)
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
had_policy=1
if [ ! -e /usr/sbin/policy-rc.d ]; then
  had_policy=0
  "${sudo[@]}" cp "$policy" /usr/sbin/policy-rc.d
fi
trap '[ "$had_policy" = 1 ] || "${sudo[@]}" rm -f /usr/sbin/policy-rc.d; rm -f "$policy"' EXIT
if ! "${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
  "${sudo[@]}" apt-get update >/dev/null
  "${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null
fi
