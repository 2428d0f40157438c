#!/bin/bash
# Starts a meta node. Words that are flags, or none, go to influxd-meta; other words are a command.

set -e

export INFLUXDB_META_CONFIG_PATH="${INFLUXDB_META_CONFIG_PATH:-/etc/influxdb/influxdb-meta.conf}"
# Others reach the node by the name of its container.
export INFLUXDB_HOSTNAME="${INFLUXDB_HOSTNAME:-$HOSTNAME}"

if [ "${1:0:1}" = '-' ] || [ $# -eq 0 ]; then
    set -- influxd-meta "$@"
fi
exec "$@"
