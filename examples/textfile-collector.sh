#!/bin/sh
# Writes the dates of all certificates for the textfile collector of Prometheus' node_exporter. The argument is its folder.
#
# Install it, and let the user of kyconnect write to the folder:
#   sudo install -m 755 examples/textfile-collector.sh /usr/local/bin/kyconnect-textfile-collector
#   sudo setfacl -m u:kyconnect:rwx /var/lib/prometheus/node-exporter
#
# Run it after each run of the timer: sudo systemctl edit kyconnect-renew.service
#   [Service]
#   ReadWritePaths=/var/lib/prometheus/node-exporter
#   ExecStopPost=/usr/local/bin/kyconnect-textfile-collector /var/lib/prometheus/node-exporter
#
# See that it works:
#   curl --silent http://localhost:9100/metrics | grep kyconnect_
set -eu
folder=$1
# The collector reads *.prom only, and a rename within one folder replaces the file in one step: it never reads half of it.
temporary=$(mktemp "$folder/.kyconnect.XXXXXX")
trap 'rm -f "$temporary"' EXIT
kyconnect status --prometheus >"$temporary"
# The metrics of an empty home would look as if there had never been an identity, and an alert on them would end.
if ! [ -s "$temporary" ]; then
  echo "$folder/kyconnect.prom is left as it is: delete it if the identities were removed on purpose" >&2
  exit 1
fi
chmod 644 "$temporary"
mv "$temporary" "$folder/kyconnect.prom"
