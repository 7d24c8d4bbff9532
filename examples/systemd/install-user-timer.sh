#!/bin/sh
# Installs a timer of your own systemd that renews your identities, and starts it. Run it from a checkout, as yourself:
#   sh examples/systemd/install-user-timer.sh
#
# See that it works:
#   systemctl --user list-timers kyconnect-renew.timer
#   journalctl --user -u kyconnect-renew.service
#   kyconnect status
#
# Run it again after you move Node.js or kyconnect to another folder, as a version manager does. Uninstall it:
#   systemctl --user disable --now kyconnect-renew.timer
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user

find_program() {
  command -v "$1" || {
    echo "$1 is not in the PATH: install it first" >&2
    exit 1
  }
}
kyconnect=$(find_program kyconnect)
node=$(find_program node)

# A timer that finds no identity would find nothing due, run after run.
status=0
problem=$(kyconnect status --check 2>&1 >/dev/null) || status=$?
if [ "$status" = 5 ]; then
  printf '%s\n' "$problem" 'nothing was installed: pair first (kyconnect pair), then run this again' >&2
  exit 1
fi
if ! systemctl --user show-environment >/dev/null 2>&1; then
  echo "nothing was installed: systemd runs no session for $(id -un)" >&2
  echo '  log in as this user, with ssh or on the console, not with su or sudo, and run this again' >&2
  echo '  or use cron: examples/crontab says how' >&2
  exit 1
fi

# systemd does not read the files of your shell, so it knows neither your PATH nor your variables. In a unit, % begins a specifier.
assign() {
  printf 'Environment="%s"\n' "$(printf '%s=%s' "$1" "$2" | sed 's/[\\"]/\\&/g; s/%/%%/g')"
}
mkdir -p "$units/kyconnect-renew.service.d"
{
  echo '[Service]'
  assign PATH "$(dirname "$kyconnect"):$(dirname "$node"):/usr/local/bin:/usr/bin:/bin"
  for name in KYCONNECT_HOME XDG_DATA_HOME HTTPS_PROXY NO_PROXY SSL_CERT_FILE NODE_EXTRA_CA_CERTS; do
    value=$(printenv "$name") && assign "$name" "$value"
  done
  true
} >"$units/kyconnect-renew.service.d/environment.conf"
cp "$here/user/kyconnect-renew.service" "$here/kyconnect-renew.timer" "$units/"

systemctl --user daemon-reload
# The first run shows whether kyconnect starts, finds its identities and may renew them.
systemctl --user start kyconnect-renew.service || {
  echo 'the first run failed: journalctl --user -u kyconnect-renew.service' >&2
  exit 1
}
systemctl --user enable --now kyconnect-renew.timer
loginctl enable-linger ||
  echo 'warning: the timer runs only while you are logged in: ask an administrator for "loginctl enable-linger"' >&2
echo 'The timer runs every 15 minutes: systemctl --user list-timers kyconnect-renew.timer'
