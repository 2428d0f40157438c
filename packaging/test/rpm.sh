# rpm packages: runs beside the system, whose folder is $1.

set -uo pipefail
root=$1
. "$root/test/checks.sh"

# Dependencies are those of another distribution.
by_rpm() { rpm --root "$root" --nodeps "$@"; }
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
file() { ls "$root/$1/$2"-[0-9]*.rpm; }
mode_in() { in_root stat -c '%a %U:%G' "$1"; }
needs() { rpm -qp --requires "$1" | grep -q "$2"; }

ok "influxdb-meta installs" by_rpm -i "$(file packages influxdb-meta)"
same "the user" "/var/lib/influxdb:/bin/false" "$(in_root getent passwd influxdb | cut -d: -f6,7)"
same "configuration" "640 root:influxdb" "$(mode_in /etc/influxdb/influxdb-meta.conf)"
same "metadata directory" "755 influxdb:influxdb" "$(mode_in /var/lib/influxdb/meta)"
ok "what it needs is written in it" needs "$(file packages influxdb-meta)" 'libc.so.6(GLIBC_'
same "not started" "" "$(pid_of influxd-meta)"
sed -i 's/^# hostname = .*/hostname = "localhost"/' "$root/etc/influxdb/influxdb-meta.conf"
ok "starts" in_root /etc/init.d/influxdb-meta start
same "its line" "influxdb /usr/bin/influxd-meta -config /etc/influxdb/influxdb-meta.conf" \
    "$(in_root ps -eo user:20,args | awk '$2 == "/usr/bin/influxd-meta" { $1 = $1; print }')"
soon "8091 answers" curl -sf http://localhost:8091/status

ok "influxdb-data installs beside it" by_rpm -i "$(file packages influxdb-data)"
same "directory wal" "700 influxdb:influxdb" "$(mode_in /var/lib/influxdb/wal)"
refused "influxdb does not install beside it" rpm --root "$root" -i "$(file packages influxdb)"

meta=$(pid_of influxd-meta)
ok "both upgrade" by_rpm -U "$(file next influxdb-meta)" "$(file next influxdb-data)"
refused "what ran was restarted" test "$meta" = "$(pid_of influxd-meta)"
same "what did not run was not started" "" "$(pid_of influxd)"
ok "the file was kept" grep -q '^hostname = "localhost"' "$root/etc/influxdb/influxdb-meta.conf"
same "its mode, too" "640 root:influxdb" "$(mode_in /etc/influxdb/influxdb-meta.conf)"
ok "the service is there" test -x "$root/etc/init.d/influxdb-meta" -a -x "$root/etc/init.d/influxdb"

ok "both are erased" by_rpm -e influxdb-meta influxdb-data
same "what ran was stopped" "" "$(pid_of influxd-meta)"
refused "the services are gone" sh -c "ls $root/etc/init.d/influxdb* || ls $root/etc/default/influxdb*"
ok "metadata is kept" test -n "$(ls "$root/var/lib/influxdb/meta")"
ok "a changed configuration is kept" test -f "$root/etc/influxdb/influxdb-meta.conf.rpmsave"

ok "influxdb installs" by_rpm -i "$(file packages influxdb)"
refused "forms no cluster in what a meta node left" in_root /etc/init.d/influxdb start
ok "which is put away" in_root mv /var/lib/influxdb/meta /var/lib/influxdb/meta.former
ok "for a directory of its own" in_root install -d -o influxdb -g influxdb -m 755 /var/lib/influxdb/meta
ok "starts" in_root /etc/init.d/influxdb start
soon "8086 answers" curl -sf http://localhost:8086/ping
ok "is erased" by_rpm -e influxdb
same "and stopped" "" "$(pid_of influxd)"

echo "$passed checks passed"
