#!/bin/sh
# Starts influxd in the background and waits until it answers on /health. The unit runs this as user influxdb.
#
# A node that has much to read back may take longer than INFLUXD_START_SECONDS. It is left to work on: killing it would make
# it begin again.

CONFIG=/etc/influxdb/influxdb.conf
PID_FILE=/var/lib/influxdb/influxd.pid
SECONDS_MAX=${INFLUXD_START_SECONDS:-60}

/usr/bin/influxd -config "$CONFIG" $INFLUXD_OPTS &
pid=$!
echo "$pid" >"$PID_FILE"

# What the keys of [http] come to, with the environment.
http=$(/usr/bin/influxd config -config "$CONFIG" 2>/dev/null | awk '
    /^\[/ { table = $0 }
    table == "[http]" && $1 == "enabled" { enabled = $3 }
    table == "[http]" && $1 == "https-enabled" { scheme = $3 == "true" ? "https" : "http" }
    table == "[http]" && $1 == "bind-address" { gsub(/"/, "", $3); address = $3 }
    END { if (enabled == "true") print scheme "://" address }')
host=${http#*://}
case "$host" in
:* | 0.0.0.0:* | "[::]":*) http="${http%%://*}://localhost:${host##*:}" ;;
esac

waited=0
while [ "$waited" -lt "$SECONDS_MAX" ]; do
    sleep 1
    waited=$((waited + 1))
    if ! kill -0 "$pid" 2>/dev/null; then
        echo "influxd ended before it served anybody" >&2
        rm -f "$PID_FILE"
        exit 1
    fi
    if [ -z "$http" ] || ! command -v curl >/dev/null; then
        # Nobody can be asked: that it lives must do.
        exit 0
    fi
    case "$(curl -k -s -o /dev/null -m 5 -w '%{http_code}' "$http/health")" in
    20? | 40?) exit 0 ;;
    esac
done
echo "influxd lives, but does not answer on $http/health yet; it is left to work on" >&2
