# Debian packages where no systemd is: runs inside the system.

set -uo pipefail
. /test/checks.sh

deb() { ls /packages/"$1"_*.deb; }
next() { ls /next/"$1"_*.deb; }

ok "influxdb-meta installs" dpkg -i "$(deb influxdb-meta)"
same "the user" "/var/lib/influxdb:/bin/false" "$(getent passwd influxdb | cut -d: -f6,7)"
same "metadata directory" "755 influxdb:influxdb" "$(mode_of /var/lib/influxdb/meta)"
same "logs" "755 influxdb:influxdb" "$(mode_of /var/log/influxdb)"
same "configuration" "640 root:influxdb" "$(mode_of /etc/influxdb/influxdb-meta.conf)"
ok "defaults" test -f /etc/default/influxdb-meta
ok "enabled" sh -c 'ls /etc/rc2.d/S*influxdb-meta'
same "not started" "" "$(pid_of influxd-meta)"
refused "status tells so" /etc/init.d/influxdb-meta status
refused "and reload" /etc/init.d/influxdb-meta reload

sed -i 's/^# hostname = .*/hostname = "localhost"/' /etc/influxdb/influxdb-meta.conf
ok "starts" /etc/init.d/influxdb-meta start
same "its line" "$META_LINE" "$(line_of influxd-meta)"
soon "8091 answers" curl -sf http://localhost:8091/status
ok "status" /etc/init.d/influxdb-meta status
pid=$(pid_of influxd-meta)
ok "a second start" /etc/init.d/influxdb-meta start
same "changes nothing" "$pid" "$(pid_of influxd-meta)"
ok "a reload" /etc/init.d/influxdb-meta reload
sleep 1
same "changes nothing either" "$pid" "$(pid_of influxd-meta)"
ok "version" /etc/init.d/influxdb-meta version
same "log" "influxdb" "$(stat -c %U /var/log/influxdb/influxdb-meta.log)"
echo 'INFLUXD_OPTS="-single-server"' >>/etc/default/influxdb-meta
ok "restarts" /etc/init.d/influxdb-meta restart
same "with more flags" "$META_LINE -single-server" "$(line_of influxd-meta)"

ok "influxdb-data installs beside it" dpkg -i "$(deb influxdb-data)"
for pair in data:755 meta:755 wal:700 hh:700; do
    same "directory ${pair%:*}" "${pair#*:} influxdb:influxdb" "$(mode_of /var/lib/influxdb/"${pair%:*}")"
done
same "not started" "" "$(pid_of influxd)"
sed -i 's/^# hostname = .*/hostname = "localhost"/' /etc/influxdb/influxdb.conf
ok "starts" /etc/init.d/influxdb start
same "its line" "$DATA_LINE" "$(line_of influxd)"
soon "8088 answers" curl -sf http://localhost:8088/status
soon "add-meta" influxd-ctl add-meta localhost:8091
soon "add-data" influxd-ctl add-data localhost:8088
soon "a database" influx -execute 'CREATE DATABASE d'
ok "a write" curl -sf 'http://localhost:8086/write?db=d' --data-binary 'm v=1'
same "a read" "1" "$(influx -database d -execute 'SELECT count(v) FROM m' | awk 'END { print $NF }')"

meta=$(pid_of influxd-meta) data=$(pid_of influxd)
ok "both upgrade while they run" dpkg -i "$(next influxdb-meta)" "$(next influxdb-data)"
refused "the meta node was restarted" test "$meta" = "$(pid_of influxd-meta)"
refused "the data node was restarted" test "$data" = "$(pid_of influxd)"
same "its line is the same" "$META_LINE -single-server" "$(line_of influxd-meta)"
soon "what was written is there" sh -c "influx -database d -execute 'SELECT count(v) FROM m' | grep -q ' 1$'"
ok "the file was kept" grep -q '^hostname = "localhost"' /etc/influxdb/influxdb-meta.conf
same "its mode, too" "640 root:influxdb" "$(mode_of /etc/influxdb/influxdb-meta.conf)"

ok "stops" /etc/init.d/influxdb stop
same "is gone" "" "$(pid_of influxd)"
meta=$(pid_of influxd-meta)
ok "the same again over itself" dpkg -i "$(next influxdb-meta)" "$(next influxdb-data)"
same "what did not run is not started" "" "$(pid_of influxd)"
refused "what ran was restarted" test "$meta" = "$(pid_of influxd-meta)"

sed -i 's/^hostname = .*/hostname = "localhost:1"/' /etc/influxdb/influxdb.conf
refused "a mistake stops the start" /etc/init.d/influxdb start
same "nothing runs" "" "$(pid_of influxd)"
ok "the log says where" grep -q 'influxdb.conf:[0-9]*: hostname: "localhost:1"' /var/log/influxdb/influxdb.log
sed -i 's/^hostname = .*/hostname = "localhost"/' /etc/influxdb/influxdb.conf

for name in influxdb influxdb-meta; do
    ok "logrotate reads $name" logrotate -d "/etc/logrotate.d/$name"
done
ok "logrotate rotates" logrotate -f /etc/logrotate.d/influxdb-meta
ok "into a file with the day" sh -c 'ls /var/log/influxdb/influxdb-meta.log-*.gz'

ok "influxdb takes the place of influxdb-data" dpkg -i --force-confnew "$(deb influxdb)"
refused "influxdb-data is gone" sh -c "dpkg -s influxdb-data | grep -q '^Status: install ok installed'"
ok "its service is there" test -x /etc/init.d/influxdb
ok "purging the old one" dpkg -P influxdb-data
ok "harms nothing" test -x /etc/init.d/influxdb -a -f /etc/default/influxdb -a -f /etc/influxdb/influxdb.conf
ok "influxdb is purged" dpkg -P influxdb
refused "with its service" test -e /etc/init.d/influxdb

ok "influxdb-meta is removed" dpkg -r influxdb-meta
same "it was stopped" "" "$(pid_of influxd-meta)"
refused "its service is gone" test -e /etc/init.d/influxdb-meta
refused "from all levels" sh -c 'ls /etc/rc?.d/*influxdb-meta'
ok "its configuration is there" test -f /etc/influxdb/influxdb-meta.conf -a -f /etc/default/influxdb-meta
ok "influxdb-meta is purged" dpkg -P influxdb-meta
refused "with its configuration" sh -c 'ls /etc/influxdb/* || ls /etc/default/influxdb* || ls /etc/logrotate.d/influxdb*'
ok "metadata is kept" test -n "$(ls /var/lib/influxdb/meta)"
ok "points are kept" test -n "$(ls /var/lib/influxdb/data)"
refused "no program is left" sh -c 'ls /usr/bin/influx* || ls /usr/lib/influxdb'

echo "$passed checks passed"
