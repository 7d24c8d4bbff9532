#!/usr/bin/env bash
# Makes sure the real programs that the tests talk to are there: installs them with apt-get where that needs no asking.
set -euo pipefail
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive

declare -A package=([nginx]=nginx-light [openssl]=openssl [curl]=curl [jq]=jq [cc]="gcc libc6-dev" [tinyproxy]=tinyproxy-bin
  [systemd-analyze]=systemd [shellcheck]=shellcheck)
missing=()
for tool in nginx openssl curl jq cc tinyproxy systemd-analyze shellcheck; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$tool" >/dev/null 2>&1 && continue
  read -ra packages <<<"${package[$tool]}"
  missing+=("${packages[@]}")
done

sudo=()
can_be_root() {
  [ "$(id -u)" -eq 0 ] && return
  command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1 && sudo=(sudo -n)
}
install_missing() {
  if ! can_be_root; then
    echo "The tests need ${missing[*]}; install them with: sudo apt-get install -y ${missing[*]}" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need ${missing[*]}, and there is no apt-get here: install them with this system's package manager." >&2
    exit 1
  fi
  echo "The tests need ${missing[*]}: installing with apt-get." >&2
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
}
[ ${#missing[@]} -eq 0 ] || install_missing

# The distribution's kubectl is unpacked here, never installed: the machine may have another, and the tests use both.
# test/sandbox/kubernetes/kubectl.ts looks for it in the same place.
kubectl=node_modules/.cache/kubernetes-client
unpack_kubectl() {
  local folder
  folder=$(mktemp -d)
  # In a subshell: apt-get downloads to where it is.
  if (cd "$folder" && apt-get download -q kubernetes-client >/dev/null 2>&1) &&
    dpkg -x "$folder"/kubernetes-client_*.deb "$folder/unpacked" && [ -x "$folder/unpacked/usr/bin/kubectl" ]; then
    mkdir -p "$(dirname "$kubectl")"
    rm -rf "$kubectl"
    mv "$folder/unpacked" "$kubectl"
  fi
  rm -rf "$folder"
  [ -x "$kubectl/usr/bin/kubectl" ]
}
get_kubectl() {
  command -v apt-get >/dev/null 2>&1 || return
  unpack_kubectl && return
  can_be_root && "${sudo[@]}" apt-get update >/dev/null 2>&1 && unpack_kubectl
}
if [ ! -x "$kubectl/usr/bin/kubectl" ] && ! get_kubectl && ! command -v kubectl >/dev/null 2>&1; then
  echo "The tests need kubectl: put one into the PATH, or make 'apt-get download kubernetes-client' work." >&2
  exit 1
fi
