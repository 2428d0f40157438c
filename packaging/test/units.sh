# Units where systemd is installed and does not run: inside the system.

set -uo pipefail
. /test/checks.sh

ok "both install" sh -c 'dpkg -i /packages/influxdb-meta_*.deb /packages/influxdb-data_*.deb'
for name in influxdb-meta influxdb; do
    ok "$name.service is good" systemd-analyze verify "/lib/systemd/system/$name.service"
    same "nothing is said of it" "" "$(systemd-analyze verify "/lib/systemd/system/$name.service" 2>&1 | grep influx)"
    same "$name is enabled" "enabled" "$(systemctl is-enabled "$name")"
done
ok "influxd is another name of it" test -L /etc/systemd/system/influxd.service
ok "it is switched off" systemctl disable influxdb-meta
ok "it is upgraded" sh -c 'dpkg -i /next/influxdb-meta_*.deb'
same "what was switched off stays off" "disabled" "$(systemctl is-enabled influxdb-meta)"
ok "influxdb takes the place of influxdb-data" sh -c 'dpkg -i --force-confnew /packages/influxdb_*.deb'
ok "its unit is good" systemd-analyze verify /lib/systemd/system/influxdb.service
ok "it is another" grep -q 'STDERR' /lib/systemd/system/influxdb.service
same "it is enabled" "enabled" "$(systemctl is-enabled influxdb)"
ok "all are purged" dpkg -P influxdb-data influxdb influxdb-meta
refused "no unit is left" sh -c 'ls /lib/systemd/system/influx* || ls /etc/systemd/system/influx* ||
    ls /etc/systemd/system/multi-user.target.wants/influx*'

echo "$passed checks passed"
