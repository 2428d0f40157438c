# Images of both kinds of nodes: runs beside the unpacked images, whose folders are $1/meta and $1/data. All nodes share one
# network, in which every name is localhost.

set -uo pipefail
folder=$1
. "$folder/test/checks.sh"

# in_image <meta|data> [NAME=value...] -- <words...>: as a container runs them, by its user, with its variables.
in_image() {
    local image=$1
    shift
    local variables=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=localhost)
    [ "$image" = data ] || variables+=(INFLUXDB_META_CONFIG_PATH=/etc/influxdb/influxdb-meta.conf)
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    chroot --userspec=influxdb:influxdb "$folder/$image" /usr/bin/env -i "${variables[@]}" "$@"
}

ctl() { in_image meta -- influxd-ctl "$@"; }
shell() { in_image data -- influx "$@"; }
has() { shell "${@:2}" 2>&1 | grep -q "$1"; }
told() { sed -n "s/^$1://p" "$folder/log.$2"; }
gone() { [ -z "$(pid_of_any "$1")" ]; }
# However it was started: by its path or by its name.
pid_of_any() { ps -eo pid,comm | awk -v name="$1" '$2 == name { print $1 }'; }
# Asks a program to end, as who stops its container does.
end() { kill -TERM "$(pid_of_any "$1")"; }

same "the user of an image" "1000" "$(in_image meta -- id -u)"
ok "a command" in_image meta -- /entrypoint.sh influxd-ctl -h
ok "a word of the program" in_image data -- /entrypoint.sh influxd version
ok "flags" sh -c "! chroot --userspec=influxdb:influxdb $folder/meta /entrypoint.sh -no-such-flag"

echo "a cluster, prepared once the node is in"
in_image meta -- /entrypoint.sh >"$folder/log.meta" 2>&1 &
in_image data INFLUXDB_HTTP_AUTH_ENABLED=true INFLUXDB_DB=first INFLUXDB_ADMIN_USER=root INFLUXDB_READ_USER=reader \
    INFLUXDB_READ_USER_PASSWORD='rd pass' -- /entrypoint.sh >"$folder/log.cluster" 2>&1 &
soon "8091 answers" curl -sf http://localhost:8091/status
soon "8088 answers" curl -sf http://localhost:8088/status
same "nothing is prepared yet" "" "$(told INFLUXDB_ADMIN_PASSWORD cluster)"
ok "add-meta" ctl add-meta localhost:8091
ok "add-data" ctl add-data localhost:8088
soon "a password is told" grep -q '^INFLUXDB_ADMIN_PASSWORD:.' "$folder/log.cluster"
soon "who has it is an administrator" has first -username root -password "$(told INFLUXDB_ADMIN_PASSWORD cluster)" \
    -execute 'SHOW DATABASES'
soon "the other user reads" has 'READ' -username root -password "$(told INFLUXDB_ADMIN_PASSWORD cluster)" \
    -execute 'SHOW GRANTS FOR reader'
ok "with the password that was given" has first -username reader -password 'rd pass' -execute 'SHOW DATABASES'
refused "and does not write" curl -sf -u 'reader:rd pass' 'http://localhost:8086/write?db=first' --data-binary 'm v=1'
refused "strangers do nothing" curl -sf 'http://localhost:8086/query?q=SHOW+DATABASES'
ok "show lists both" sh -c "chroot $folder/meta influxd-ctl show | grep -c ':80[89][18]' | grep -q 2"
ok "the data node is asked to end" end influxd
soon "it ends" gone influxd
in_image data INFLUXDB_HTTP_AUTH_ENABLED=true INFLUXDB_DB=second INFLUXDB_ADMIN_USER=other -- /entrypoint.sh \
    >"$folder/log.again" 2>&1 &
soon "it comes back" has first -username reader -password 'rd pass' -execute 'SHOW DATABASES'
same "and prepares nothing again" "" "$(told INFLUXDB_ADMIN_PASSWORD again)"
ok "the data node is asked to end" end influxd
soon "it ends" gone influxd
ok "the meta node is asked to end" end influxd-meta
soon "it ends" gone influxd-meta

echo "a server that stands alone, prepared before anybody reaches it"
rm -rf "$folder"/data/var/lib/influxdb/*/*
mkdir -p "$folder/data/docker-entrypoint-initdb.d"
printf 'run -execute "CREATE DATABASE by_shell"\n' >"$folder/data/docker-entrypoint-initdb.d/1.sh"
printf 'CREATE DATABASE by_query;\nCREATE RETENTION POLICY week ON by_query DURATION 1w REPLICATION 1\n' \
    >"$folder/data/docker-entrypoint-initdb.d/2.iql"
words=(INFLUXDB_META_ENABLED=true INFLUXDB_HTTP_AUTH_ENABLED=true INFLUXDB_DB='a "db"' INFLUXDB_ADMIN_USER=root
    INFLUXDB_ADMIN_PASSWORD="it's \\ \"it\"" INFLUXDB_USER=worker INFLUXDB_WRITE_USER=writer)
in_image data "${words[@]}" -- /entrypoint.sh >"$folder/log.alone" 2>&1 &
admin() { has "$1" -username root -password "it's \\ \"it\"" -execute "$2"; }
# The server that prepares asks nobody who they are.
asks() { [ "$(curl -s -o /dev/null -w '%{http_code}' 'http://localhost:8086/query?q=SHOW+DATABASES')" = 401 ]; }
soon "it serves, and asks who comes" asks
ok "a password with quotes" admin 'a "db"' 'SHOW DATABASES'
ok "a shell script" admin by_shell 'SHOW DATABASES'
ok "a file of queries" admin week 'SHOW RETENTION POLICIES ON by_query'
ok "a user of the database" admin 'ALL PRIVILEGES' 'SHOW GRANTS FOR worker'
ok "one that writes" curl -sf -u "writer:$(told INFLUXDB_WRITE_USER_PASSWORD alone)" 'http://localhost:8086/write?db=a%20%22db%22' \
    --data-binary 'm v=1'
same "passwords that were missing are told" "2" "$(grep -c '^INFLUXDB_[A-Z_]*PASSWORD:.' "$folder/log.alone")"
ok "it is asked to end" end influxd
soon "it ends" gone influxd
in_image data "${words[@]}" -- /entrypoint.sh >"$folder/log.alone2" 2>&1 &
soon "it comes back" admin by_shell 'SHOW DATABASES'
same "and prepares nothing again" "0" "$(grep -c 'PASSWORD:\|running' "$folder/log.alone2")"
ok "it is asked to end" end influxd
soon "it ends" gone influxd

echo "$passed checks passed"
