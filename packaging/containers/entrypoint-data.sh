#!/bin/bash
# Starts a data node, and makes users and databases at its first start. Words that are flags, or none, go to influxd; other
# words are a command.

set -e

# Others reach the node by the name of its container.
export INFLUXDB_HOSTNAME="${INFLUXDB_HOSTNAME:-$HOSTNAME}"

if [ "${1:0:1}" = '-' ] || [ $# -eq 0 ]; then
    set -- influxd "$@"
fi
if [ "$1" = influxd ] && [ "${2:-run}" != config ] && [ "${2:-run}" != version ] && [ "${2:-run}" != help ]; then
    /init-influxdb.sh "${@:2}"
fi
exec "$@"
