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
chmod 644 "$temporary"
mv "$temporary" "$folder/kyconnect.prom"
