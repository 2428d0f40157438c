# Packages of the build with FIPS 140: runs beside the system, whose folder is $1.

set -uo pipefail
root=$1
. "$root/test/checks.sh"

in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
deb() { cd "$root" && ls packages/"$1"_*.deb; }
# set_key <file> <line where its table begins> <key> <value>: as an editor would, in the line that has it commented out.
set_key() { sed -i "$2,/^ *# $3 = /s|^ *# $3 = .*|$3 = $4|" "$root/etc/influxdb/$1"; }
tells() { case "$1" in *"$2"*) ;; *) echo "$1"; return 1 ;; esac; }

# certificate <kind> <words for openssl...>: of the two nodes, signed by itself.
certificate() {
    local kind=$1 to=$root/etc/ssl
    shift
    openssl req -x509 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -addext basicConstraints=critical,CA:FALSE "$@" \
        -keyout "$to/$kind.key" -out "$to/$kind.crt" 2>/dev/null
    in_root chown influxdb "/etc/ssl/$kind.key" && chmod 600 "$to/$kind.key"
}

# suites <port> <certificate>: all that are agreed upon of those that openssl knows, from TLS 1.0 to 1.3.
suites() {
    local version suite told
    for version in tls1 tls1_1 tls1_2; do
        for suite in $(openssl ciphers -s "-$version" 'ALL:COMPLEMENTOFALL:@SECLEVEL=0' | tr ':' ' '); do
            told=$(openssl s_client "-$version" -cipher "$suite:@SECLEVEL=0" -connect "localhost:$1" \
                -CAfile "$root/etc/ssl/$2.crt" -verify_return_error </dev/null 2>/dev/null) && echo "$version $suite"
        done
    done
    for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
        told=$(openssl s_client -tls1_3 -ciphersuites "$suite" -connect "localhost:$1" \
            -CAfile "$root/etc/ssl/$2.crt" -verify_return_error </dev/null 2>/dev/null) && echo "tls1_3 $suite"
    done
    true
}

ok "influxdb-meta installs" in_root dpkg -i "/$(deb influxdb-meta)"
ok "influxdb-data installs" in_root dpkg -i "/$(deb influxdb-data)"
for program in influxd-meta influxd; do
    ok "$program says what it is" tells "$(in_root "$program" version)" ", FIPS"
done
mkdir -p "$root/etc/ssl"
certificate rsa -newkey rsa:2048
certificate ecdsa -newkey ec -pkeyopt ec_paramgen_curve:P-256
certificate weak -newkey rsa:1024
set_key influxdb-meta.conf 1 hostname '"localhost"'
set_key influxdb.conf 1 hostname '"localhost"'
log=$root/var/log/influxdb/influxdb-meta.log

hash_with() { sed -i "s|^  password-hash = .*|  password-hash = \"$1\"|" "$root/etc/influxdb/influxdb-meta.conf"; }

ok "starts as it comes" in_root /etc/init.d/influxdb-meta start
ok "stops" in_root /etc/init.d/influxdb-meta stop
hash_with bcrypt
refused "bcrypt stops the start" in_root /etc/init.d/influxdb-meta start
ok "with these words" grep -q "create server: passwordhash: not FIPS-ready: config: 'bcrypt'" "$log"
hash_with pbkdf2-sha256
set_key influxdb-meta.conf '/^\[meta\]/' https-enabled true
set_key influxdb-meta.conf '/^\[meta\]/' https-certificate '"/etc/ssl/weak.crt"'
set_key influxdb-meta.conf '/^\[meta\]/' https-ca '"/etc/ssl/weak.crt"'
set_key influxdb-meta.conf '/^\[meta\]/' https-private-key '"/etc/ssl/weak.key"'
refused "a key of 1024 bits stops the start" in_root /etc/init.d/influxdb-meta start
sed -i 's|/etc/ssl/weak|/etc/ssl/rsa|' "$root/etc/influxdb/influxdb-meta.conf"
ok "starts with pbkdf2" in_root /etc/init.d/influxdb-meta start
soon "8091 answers" curl -sf --cacert "$root/etc/ssl/rsa.crt" https://localhost:8091/status
ok "the module is at work" grep -q "FIPS 140: the module of AWS-LC is at work" "$log"
ok "hashes are such as are allowed" grep -q "Password hashing is FIPS-ready: true" "$log"
for kind in RSA:rsa ECDSA:ecdsa; do
    sed -i "s|/etc/ssl/[a-z]*\.|/etc/ssl/${kind#*:}.|" "$root/etc/influxdb/influxdb-meta.conf"
    ok "starts with a certificate of ${kind%:*}" in_root /etc/init.d/influxdb-meta restart
    soon "8091 answers" curl -sf --cacert "$root/etc/ssl/${kind#*:}.crt" https://localhost:8091/status
    found=$(suites 8091 "${kind#*:}" | sort)
    echo "$found" | sed 's/^/     /'
    same "these suites and no others" "tls1_2 ECDHE-${kind%:*}-AES128-GCM-SHA256
tls1_2 ECDHE-${kind%:*}-AES256-GCM-SHA384" "$found"
done

set_key influxdb.conf '/^\[meta\]/' meta-tls-enabled true
set_key influxdb.conf '/^\[meta\]/' meta-insecure-tls true
ok "a data node starts" in_root /etc/init.d/influxdb start
soon "8088 answers" curl -sf http://localhost:8088/status
soon "add-meta" in_root influxd-ctl -bind-tls -k add-meta localhost:8091
soon "add-data" in_root influxd-ctl -bind-tls -k add-data localhost:8088
soon "a user" in_root influx -execute "CREATE USER ann WITH PASSWORD 'a word' WITH ALL PRIVILEGES"
ok "the hash is such as is allowed" tells \
    "$(curl -s --cacert "$root/etc/ssl/ecdsa.crt" https://localhost:8091/ | strings)" 'pbkdf2-sha512'
set_key influxdb.conf '/^\[http\]/' auth-enabled true
ok "restarts with authentication" in_root /etc/init.d/influxdb restart
soon "and lets in who knows the word" curl -sf -u 'ann:a word' 'http://localhost:8086/query?q=SHOW+USERS'
refused "and nobody else" curl -sf -u 'ann:another' 'http://localhost:8086/query?q=SHOW+USERS'
ok "both are purged" in_root dpkg -P influxdb-data influxdb-meta

echo "$passed checks passed"
