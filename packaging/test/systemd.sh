# Debian packages under systemd: inside a machine that it booted.

set -uo pipefail
. /test/checks.sh
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin

ok "both install" sh -c 'dpkg -i /packages/influxdb-meta_*.deb /packages/influxdb-data_*.deb'
same "enabled" "enabled enabled" "$(systemctl is-enabled influxdb-meta influxdb | xargs)"
same "not started" "" "$(pid_of influxd-meta)$(pid_of influxd)"
sed -i 's/^# hostname = .*/hostname = "localhost"/' /etc/influxdb/influxdb-meta.conf /etc/influxdb/influxdb.conf
ok "the meta node starts" systemctl start influxdb-meta
soon "its line" has_line influxd-meta "$META_LINE"
echo 'INFLUXD_OPTS="-single-server"' >>/etc/default/influxdb-meta
ok "it restarts" systemctl restart influxdb-meta
soon "with more flags" has_line influxd-meta "$META_LINE -single-server"
# The start of a data node ends when it answers.
ok "the data node starts" systemctl start influxdb
ok "and answers" curl -sf http://localhost:8086/health
same "its line" "$DATA_LINE" "$(line_of influxd)"
same "by its other name" "active" "$(systemctl is-active influxd)"
soon "8091 answers" curl -sf http://localhost:8091/status
soon "add-meta" influxd-ctl add-meta localhost:8091
soon "add-data" influxd-ctl add-data localhost:8088
soon "a database" influx -execute 'CREATE DATABASE d'
ok "a write" curl -sf 'http://localhost:8086/write?db=d' --data-binary 'm v=1'

meta=$(pid_of influxd-meta) data=$(pid_of influxd)
ok "both are told to reload" systemctl reload influxdb-meta influxdb
sleep 1
same "they run on" "$meta $data" "$(pid_of influxd-meta) $(pid_of influxd)"
ok "both upgrade while they run" sh -c 'dpkg -i /next/influxdb-meta_*.deb /next/influxdb-data_*.deb'
refused "the meta node was restarted" test "$meta" = "$(pid_of influxd-meta)"
refused "the data node was restarted" test "$data" = "$(pid_of influxd)"
soon "what was written is there" sh -c "influx -database d -execute 'SELECT count(v) FROM m' | grep -q ' 1$'"
ok "stops" systemctl stop influxdb
ok "the same again over itself" sh -c 'dpkg -i /next/influxdb-meta_*.deb /next/influxdb-data_*.deb'
same "what did not run is not started" "" "$(pid_of influxd)"

killed=$(pid_of influxd-meta)
kill -9 "$killed"
soon "what was killed comes back" sh -c "ps -eo pid,args | awk '\$2 == \"/usr/bin/influxd-meta\" && \$1 != $killed' | grep -q ."
sed -i 's/^hostname = .*/hostname = "localhost:1"/' /etc/influxdb/influxdb.conf
refused "a mistake stops the start" systemctl start influxdb
ok "the journal says where" sh -c 'journalctl -u influxdb | grep -q "influxdb.conf:[0-9]*: hostname"'
systemctl stop influxdb
sed -i 's/^hostname = .*/hostname = "localhost"/' /etc/influxdb/influxdb.conf

ok "influxdb takes the place of influxdb-data" sh -c 'dpkg -i --force-confnew /packages/influxdb_*.deb'
same "it is enabled" "enabled" "$(systemctl is-enabled influxdb)"
systemctl stop influxdb-meta
rm -rf /var/lib/influxdb/data/* /var/lib/influxdb/meta/* /var/lib/influxdb/hh/*
ok "it starts" systemctl start influxdb
soon "and answers" curl -sf http://localhost:8086/ping
ok "its log is a file" test -s /var/log/influxdb/influxd.log
ok "it is purged" dpkg -P influxdb
same "and stopped" "" "$(pid_of influxd)"
ok "influxdb-meta is purged" dpkg -P influxdb-meta
refused "no unit is left" sh -c 'ls /lib/systemd/system/influx*'

echo "$passed checks passed"
