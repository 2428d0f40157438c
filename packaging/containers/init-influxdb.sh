#!/bin/bash
# What is made at the first start of a data node:
#
#   INFLUXDB_DB                                    a database
#   INFLUXDB_ADMIN_USER, INFLUXDB_ADMIN_PASSWORD   an administrator
#   INFLUXDB_USER, INFLUXDB_USER_PASSWORD          a user with all privileges on the database
#   INFLUXDB_READ_USER, INFLUXDB_READ_USER_PASSWORD
#   INFLUXDB_WRITE_USER, INFLUXDB_WRITE_USER_PASSWORD
#   /docker-entrypoint-initdb.d/*.sh, *.iql        what else, in the order of the names
#
# A password that is missing is made up and printed. Nothing is done where the directory of the metadata holds a node
# already, or where none of this is asked for.
#
# A node that stands alone is prepared before it starts, by a server that nobody else reaches. One that waits to be added
# to a cluster (`[meta] enabled = false`, as in the image) has no place for users before that: this goes on in the
# background, and makes what is missing in the cluster once the node is in.

set -e

CONFIG="${INFLUXDB_CONFIG_PATH:-/etc/influxdb/influxdb.conf}"
SCRIPTS="${INFLUXDB_INIT_SCRIPTS:-/docker-entrypoint-initdb.d}"
ADDRESS=127.0.0.1:8086
START_SECONDS=60

for ((index = 1; index <= $#; index++)); do
    if [ "${!index}" = -config ] || [ "${!index}" = --config ]; then
        next=$((index + 1))
        CONFIG=${!next}
    fi
done

# key <table> <name>: its value, with the environment.
key() {
    influxd config -config "$CONFIG" 2>/dev/null |
        awk -v table="[$1]" -v name="$2" '/^\[/ { at = $0 } at == table && $1 == name { gsub(/"/, "", $3); print $3; exit }'
}

meta_dir=$(key meta dir)
shopt -s nullglob
scripts=("$SCRIPTS"/*.sh "$SCRIPTS"/*.iql)
wanted="$INFLUXDB_DB$INFLUXDB_ADMIN_USER$INFLUXDB_USER$INFLUXDB_READ_USER$INFLUXDB_WRITE_USER"
if [ -z "$wanted" ] && [ ${#scripts[@]} -eq 0 ]; then
    exit 0
fi
if [ -e "$meta_dir/node.json" ] || [ -e "$meta_dir/client.json" ]; then
    exit 0
fi
run() {
    influx -host "${ADDRESS%:*}" -port "${ADDRESS##*:}" "${login[@]}" "$@"
}

login=()
if [ "$(key meta enabled)" = false ]; then
    if [ "$LATER" != yes ]; then
        LATER=yes "$0" "$@" &
        exit 0
    fi
    address=$(key http bind-address)
    case "$address" in
    :* | 0.0.0.0:*) ADDRESS=127.0.0.1:${address##*:} ;;
    *) ADDRESS=$address ;;
    esac
    # A node that waits answers everything but /ping and /health with 503.
    until case "$(curl -s -o /dev/null -w '%{http_code}' "http://$ADDRESS/query?q=SHOW+DATABASES")" in
        200 | 401 | 403) true ;;
        *) false ;;
        esac; do
        sleep 1
    done
    pid=
else
    # Only the address that it answers on, and whom, is another.
    export INFLUXDB_HTTP_BIND_ADDRESS=$ADDRESS INFLUXDB_HTTP_AUTH_ENABLED=false INFLUXDB_HTTP_HTTPS_ENABLED=false
    influxd "$@" &
    pid=$!
    trap 'kill "$pid"; echo "not all was made; the next start will not try again: empty the volume, or make the rest" >&2' EXIT
    waited=0
    until curl -sf -o /dev/null "http://$ADDRESS/ping"; do
        waited=$((waited + 1))
        if ! kill -0 "$pid" 2>/dev/null || [ "$waited" -ge $((START_SECONDS * 5)) ]; then
            echo "the server for the first start did not come up" >&2
            exit 1
        fi
        sleep 0.2
    done
fi

# A name within double quotes.
name() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# A text within single quotes.
text() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\\\'}"
}

# password <variable>: its value, or one that is made up and told.
password() {
    local value=${!1}
    if [ -z "$value" ]; then
        value=$(head -c 24 /dev/urandom | base64 | tr -dc 'A-Za-z0-9')
        echo "$1:$value" >&2
    fi
    printf '%s' "$value"
}

# user <variable> <what it may do>
user() {
    [ -n "${!1}" ] || return 0
    local variable="$1_PASSWORD" secret
    [ "$1" != INFLUXDB_ADMIN_USER ] || variable=INFLUXDB_ADMIN_PASSWORD
    secret=$(password "$variable")
    # In a cluster another node may have made it.
    run -execute "CREATE USER $(name "${!1}") WITH PASSWORD $(text "$secret") $2" || echo "user ${!1} was not made" >&2
    if [ "$1" = INFLUXDB_ADMIN_USER ]; then login=(-username "${!1}" -password "$secret"); fi
}

user INFLUXDB_ADMIN_USER "WITH ALL PRIVILEGES"
for variable in INFLUXDB_USER INFLUXDB_READ_USER INFLUXDB_WRITE_USER; do
    user "$variable" ""
done
if [ -n "$INFLUXDB_DB" ]; then
    run -execute "CREATE DATABASE $(name "$INFLUXDB_DB")"
    for pair in INFLUXDB_USER:ALL INFLUXDB_READ_USER:READ INFLUXDB_WRITE_USER:WRITE; do
        variable=${pair%:*}
        if [ -n "${!variable}" ]; then
            run -execute "GRANT ${pair#*:} ON $(name "$INFLUXDB_DB") TO $(name "${!variable}")"
        fi
    done
fi
for script in "${scripts[@]}"; do
    echo "running $script" >&2
    case $script in
    *.sh) . "$script" ;;
    *.iql) run <"$script" ;;
    esac
done

if [ -n "$pid" ]; then
    trap - EXIT
    kill -TERM "$pid"
    wait "$pid" || true
fi
