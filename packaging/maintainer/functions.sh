# What the scripts of all packages share.

# Whether systemd runs this machine; it may be installed and not do so, as in a container.
is_booted() {
    [ -d /run/systemd/system ]
}

has_systemd() {
    command -v systemctl >/dev/null
}

make_user() {
    getent group influxdb >/dev/null || groupadd --system influxdb
    getent passwd influxdb >/dev/null || useradd --system --gid influxdb --home-dir /var/lib/influxdb \
        --no-create-home --shell /bin/false influxdb
}

# make_directory <mode> <path>: one that is there keeps its mode.
make_directory() {
    [ -d "$2" ] || install -d -m "$1" "$2"
    chown influxdb:influxdb "$2"
}

make_directories() {
    make_directory 755 /var/lib/influxdb
    make_directory 755 /var/log/influxdb
    @DIRECTORIES@
}

# The file may hold secrets: the service reads it, others do not.
close_config() {
    chown root:influxdb /etc/influxdb/@CONFIG@
    chmod 640 /etc/influxdb/@CONFIG@
}

make_defaults() {
    [ -e /etc/default/@SERVICE@ ] || install -D -m 644 /usr/share/@PACKAGE@/defaults /etc/default/@SERVICE@
}

# add_service <is_new>: what an operator switched off stays off.
add_service() {
    if has_systemd; then
        install -D -m 644 /usr/lib/influxdb/scripts/@SERVICE@.service /lib/systemd/system/@SERVICE@.service
        if is_booted; then systemctl daemon-reload || true; fi
        if [ "$1" = yes ]; then systemctl enable @SERVICE@ || true; fi
    else
        install -D -m 755 /usr/lib/influxdb/scripts/@INIT@ /etc/init.d/@SERVICE@
        if command -v update-rc.d >/dev/null; then
            update-rc.d @SERVICE@ defaults >/dev/null || true
        elif command -v chkconfig >/dev/null; then
            if [ "$1" = yes ]; then chkconfig --add @SERVICE@ || true; fi
        fi
    fi
}

# Restarts what runs, and starts nothing.
restart_if_running() {
    if is_booted && has_systemd; then
        systemctl try-restart @SERVICE@ || echo "@SERVICE@ could not be restarted; see journalctl -u @SERVICE@" >&2
    elif [ -x /etc/init.d/@SERVICE@ ]; then
        /etc/init.d/@SERVICE@ try-restart || echo "@SERVICE@ could not be restarted" >&2
    fi
}

stop_service() {
    if is_booted && has_systemd; then
        systemctl stop @SERVICE@ || true
    elif [ -x /etc/init.d/@SERVICE@ ]; then
        /etc/init.d/@SERVICE@ stop || true
    fi
}

# Another package with the same service may have come in the place of this one.
is_replaced() {
    [ -x /usr/bin/@PROGRAM@ ]
}

forget_service() {
    if is_replaced; then return; fi
    if has_systemd; then systemctl disable @SERVICE@ >/dev/null 2>&1 || true; fi
    rm -f /lib/systemd/system/@SERVICE@.service /etc/init.d/@SERVICE@
    if is_booted && has_systemd; then systemctl daemon-reload || true; fi
    if command -v update-rc.d >/dev/null; then
        update-rc.d @SERVICE@ remove >/dev/null || true
    fi
}

forget_defaults() {
    if is_replaced; then return; fi
    rm -f /etc/default/@SERVICE@
}
