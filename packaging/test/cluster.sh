# The guides of docs/operating, run as they are written: the blocks of install.md make a cluster of three meta and two data
# hosts from packages, those of upgrade.md upgrade it under load. Runs beside the bare system: $1 has base, packages, next,
# docs. Every host has a network, processes and files of its own; no systemd, so `systemctl start x` is `service x start`.

set -uo pipefail
folder=$1
. "$folder/test/checks.sh"

metas=(meta-01 meta-02 meta-03)
datas=(data-01 data-02)
hosts=("${metas[@]}" "${datas[@]}")
declare -A pids

ip link add br0 type bridge
ip addr add 10.77.0.1/24 dev br0
ip link set br0 up
number=10
{
    echo "127.0.0.1 localhost"
    for host in "${hosts[@]}"; do
        number=$((number + 1))
        echo "10.77.0.$number $host"
    done
} >"$folder/hosts"
address_of() { awk -v name="$1" '$2 == name { print $1 }' "$folder/hosts"; }

for host in "${hosts[@]}"; do
    mkdir -p "$folder/$host/upper" "$folder/$host/work" "$folder/$host/root"
    mount -t overlay overlay -o "lowerdir=$folder/base,upperdir=$folder/$host/upper,workdir=$folder/$host/work" \
        "$folder/$host/root"
    root=$folder/$host/root
    rm -f "$root/usr/bin/systemctl" "$root/bin/systemctl"
    cp "$folder/hosts" "$root/etc/hosts"
    mkdir -p "$root/packages" "$root/next"
    mount --bind "$folder/packages" "$root/packages"
    mount --bind "$folder/next" "$root/next"
    unshare --net --uts --mount --pid --fork --kill-child sh -c "hostname $host; ip link set lo up
        mount -t proc proc $root/proc; mount --bind /dev $root/dev; exec sleep infinity" &
    until pids[$host]=$(ps -o pid= --ppid "$!" | tr -d ' ') && [ -n "${pids[$host]}" ]; do sleep 0.1; done
    ip link add "v$host" type veth peer name eth0 netns "${pids[$host]}"
    ip link set "v$host" master br0 up
    nsenter -t "${pids[$host]}" -n ip addr add "$(address_of "$host")/24" dev eth0
    nsenter -t "${pids[$host]}" -n ip link set eth0 up
done

on() {
    nsenter -t "${pids[$1]}" -m -u -n -p chroot "$folder/$1/root" /usr/bin/env -i \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "${@:2}"
}

# block <document> <heading> <n>: the n-th block of shell commands below a heading.
block() {
    awk -v heading="$2" -v want="$3" '
        /^#/ && !inside { under = ($0 == heading) }
        /^ *```/ { if (inside) { inside = 0 } else { inside = 1; count += under && /```sh/; shown = under && /```sh/ && count == want; next } }
        inside && shown' "$folder/docs/$1"
}

# follow <host> <folder it is in> <commands>
follow() {
    on "$1" bash -ec "cd $2
$(sed -E 's/systemctl (start|restart) ([a-z-]+)/service \2 \1/' <<<"$3")"
}

meta_steps=$(block install.md '## With packages' 1)
data_steps=$(block install.md '## With packages' 2)
ok "the guide has steps for meta hosts" grep -q 'dpkg -i influxdb-meta_' <<<"$meta_steps"
ok "and for data hosts" grep -q 'dpkg -i influxdb-data_' <<<"$data_steps"
for host in "${metas[@]}"; do ok "install on $host" follow "$host" /packages "${meta_steps//meta-01/$host}"; done
for host in "${metas[@]}"; do soon "8091 of $host" curl -sf "http://$(address_of "$host"):8091/status"; done
ok "step 2" follow meta-01 / "$(block install.md '## Adding' 1)"
for host in "${datas[@]}"; do ok "install on $host" follow "$host" /packages "${data_steps//data-01/$host}"; done
for host in "${datas[@]}"; do soon "8088 of $host" curl -sf "http://$(address_of "$host"):8088/status"; done
ok "step 4" follow meta-01 / "$(block install.md '## Adding' 2)"

shows_all() {
    local told member
    told=$(on "$1" influxd-ctl show) || return 1
    for member in "${hosts[@]}"; do grep -q "$member:80" <<<"$told" || return 1; done
}
for host in "${metas[@]}"; do soon "show on $host lists all" shows_all "$host"; done
soon "a database" on data-01 influx -execute 'CREATE DATABASE d WITH DURATION INF REPLICATION 2 NAME two'

# Load: each write goes to the next node if one does not take it, as clients do.
load() {
    local written=0 refused=0 nodes
    nodes=("$(address_of data-01)" "$(address_of data-02)")
    while [ ! -e "$folder/enough" ]; do
        for node in "${nodes[written % 2]}" "${nodes[(written + 1) % 2]}"; do
            if curl -sf -m 15 "http://$node:8086/write?db=d" --data-binary "m v=1 $((written + 1))"; then
                written=$((written + 1))
                continue 2
            fi
        done
        refused=$((refused + 1))
    done
    echo "$written $refused" >"$folder/load"
}
load &
loading=$!

for host in "${metas[@]}"; do
    before=$(on "$host" cat /var/run/influxdb/influxd-meta.pid)
    ok "upgrade of $host" follow "$host" /next "$(block upgrade.md '# Upgrading a cluster' 1 | grep -v influxd-ctl)"
    refused "it was restarted" test "$before" = "$(on "$host" cat /var/run/influxdb/influxd-meta.pid)"
    soon "show on it lists all" shows_all "$host"
    ok "the configuration stays" on "$host" grep -q "^hostname = \"$host\"" /etc/influxdb/influxdb-meta.conf
done
answers() { [ "$(follow "$1" /next "$(block upgrade.md '# Upgrading a cluster' 2 | grep curl)")" = 200 ]; }
for host in "${datas[@]}"; do
    before=$(on "$host" cat /var/run/influxdb/influxd.pid)
    ok "upgrade of $host" follow "$host" /next "$(block upgrade.md '# Upgrading a cluster' 2 | grep dpkg)"
    refused "it was restarted" test "$before" = "$(on "$host" cat /var/run/influxdb/influxd.pid)"
    soon "it answers" answers "$host"
done
touch "$folder/enough"
wait "$loading"
read -r written refusals <"$folder/load"
echo "$written writes during the upgrade, $refusals refused by both nodes"
same "no write was refused" 0 "$refusals"
ok "and there were some" test "$written" -gt 20
holds_all() { on "$1" influx -database d -execute 'SELECT count(v) FROM m' | grep -q " $written\$"; }
for host in "${datas[@]}"; do soon "$host reads all of them" holds_all "$host"; done
soon "step 3" shows_all meta-02

echo "$passed checks passed"
