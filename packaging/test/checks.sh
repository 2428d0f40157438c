# What the scripts of all parts share: checks that say what they saw.

passed=0

# ok <what> <command...>: the command must succeed.
ok() {
    local what=$1 told
    shift
    if told=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok   $what"
    else
        echo "FAIL $what: $* printed: $told"
        exit 1
    fi
}

# refused <what> <command...>: it must fail.
refused() {
    local what=$1 told
    shift
    if told=$("$@" 2>&1); then
        echo "FAIL $what: $* succeeded: $told"
        exit 1
    fi
    passed=$((passed + 1))
    echo "ok   $what"
}

# same <what> <want> <got>
same() {
    if [ "$2" != "$3" ]; then
        echo "FAIL $1: want '$2', got '$3'"
        exit 1
    fi
    passed=$((passed + 1))
    echo "ok   $1"
}

# soon <what> <command...>: it must succeed within half a minute.
soon() {
    local what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 150 ]; then
            echo "FAIL $what: $* does not succeed"
            "$@"
            exit 1
        fi
        sleep 0.2
    done
    passed=$((passed + 1))
    echo "ok   $what"
}

# The user and the line of a program that runs.
line_of() {
    ps -eo user:20,args | awk -v path="/usr/bin/$1" '$2 == path { $1 = $1; print }'
}

has_line() {
    [ "$2" = "$(line_of "$1")" ]
}

pid_of() {
    ps -eo pid,args | awk -v path="/usr/bin/$1" '$2 == path { print $1 }'
}

mode_of() {
    stat -c '%a %U:%G' "$1"
}

META_LINE="influxdb /usr/bin/influxd-meta -config /etc/influxdb/influxdb-meta.conf"
DATA_LINE="influxdb /usr/bin/influxd -config /etc/influxdb/influxdb.conf"
