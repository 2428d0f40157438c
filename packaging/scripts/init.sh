#!/bin/sh
### BEGIN INIT INFO
# Provides:          @SERVICE@
# Required-Start:    $remote_fs $network $named $time
# Required-Stop:     $remote_fs $network $named $time
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: @SUMMARY@
### END INIT INFO
# chkconfig: 2345 90 10
#
# /etc/default/@SERVICE@ may set
#   INFLUXD_OPTS      more flags, as @OPTIONS_EXAMPLE@
#   STDOUT, STDERR    files that the output is appended to
# and every variable INFLUXDB_... that the program knows.

PROGRAM=/usr/bin/@PROGRAM@
CONFIG=/etc/influxdb/@CONFIG@
DEFAULTS=/etc/default/@SERVICE@
PID_DIR=/var/run/influxdb
PID_FILE=$PID_DIR/@PROGRAM@.pid
OPEN_FILES=65536
STOP_SECONDS=90

if [ -r "$DEFAULTS" ]; then
    set -a
    . "$DEFAULTS"
    set +a
fi
export CONFIG PROGRAM INFLUXD_OPTS
export STDOUT="${STDOUT:-/dev/null}" STDERR="${STDERR:-/var/log/influxdb/@LOG@}"
export HOME=/var/lib/influxdb

# Prints the number of the process, if it runs. A number that another program got by now is not ours.
running() {
    pid=$(cat "$PID_FILE" 2>/dev/null) && [ -n "$pid" ] || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "@PROGRAM@" ] || return 1
    case "$(cat "/proc/$pid/stat" 2>/dev/null)" in *") Z "*) return 1 ;; esac
    echo "$pid"
}

# Whether process $1 listens on any port: a mistake in the configuration would have ended it before.
listens() {
    for socket in $(ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.* socket:\[\([0-9]*\)\]$/\1/p'); do
        grep -qs " 0A .* $socket " /proc/net/tcp /proc/net/tcp6 && return 0
    done
    return 1
}

start() {
    if pid=$(running); then
        echo "@SERVICE@ runs already, as process $pid"
        return 0
    fi
    if [ ! -x "$PROGRAM" ]; then
        echo "$PROGRAM is not there" >&2
        return 5
    fi
    if [ ! -r "$CONFIG" ]; then
        echo "$CONFIG is not there, or cannot be read" >&2
        return 6
    fi
    install -d -o influxdb -g influxdb -m 755 "$PID_DIR" || return 4
    ulimit -n "$OPEN_FILES" || echo "cannot raise the number of open files to $OPEN_FILES" >&2
    # Every step replaces the one before: the number of the background process becomes that of the program.
    (
        cd / && exec setsid setpriv --reuid influxdb --regid influxdb --init-groups \
            /bin/sh -c 'exec "$PROGRAM" -config "$CONFIG" $INFLUXD_OPTS >>"$STDOUT" 2>>"$STDERR"'
    ) </dev/null >/dev/null &
    echo "$!" >"$PID_FILE"
    # Many a mistake ends the program at once, and what takes longer than this is at work.
    waited=1
    sleep 1
    while pid=$(running) && ! listens "$pid" && [ "$waited" -lt 10 ]; do
        sleep 1
        waited=$((waited + 1))
    done
    if pid=$(running); then
        echo "@SERVICE@ started, as process $pid"
        return 0
    fi
    rm -f "$PID_FILE"
    echo "@SERVICE@ did not start; see $STDERR" >&2
    tail -n 3 "$STDERR" >&2
    return 1
}

stop() {
    if ! pid=$(running); then
        rm -f "$PID_FILE"
        echo "@SERVICE@ does not run"
        return 0
    fi
    kill -TERM "$pid" || return 1
    waited=0
    while running >/dev/null; do
        if [ "$waited" -ge "$STOP_SECONDS" ]; then
            echo "@SERVICE@ did not end within $STOP_SECONDS seconds" >&2
            return 1
        fi
        sleep 1
        waited=$((waited + 1))
    done
    rm -f "$PID_FILE"
    echo "@SERVICE@ stopped"
}

status() {
    if pid=$(running); then
        echo "@SERVICE@ runs, as process $pid"
        return 0
    fi
    echo "@SERVICE@ does not run"
    [ -e "$PID_FILE" ] && return 1
    return 3
}

# Certificates and the level of the log.
reload() {
    if ! pid=$(running); then
        echo "@SERVICE@ does not run" >&2
        return 7
    fi
    kill -HUP "$pid"
}

case "$1" in
start | stop | status | reload) "$1" ;;
restart | force-reload) stop && start ;;
try-restart | condrestart) if running >/dev/null; then stop && start; fi ;;
version) "$PROGRAM" version ;;
*)
    echo "usage: $0 {start|stop|restart|try-restart|reload|force-reload|status|version}" >&2
    exit 2
    ;;
esac
