#!/bin/bash
# Tries packages in systems of their own: install, start, upgrade, remove, purge; by init script, by rpm, and under systemd.
#
#   run.sh <folder with packages> <folder with the packages of the next revision> [sysv|rpm|units|systemd|cluster|containers|fips]...
#
# Needs root, and Debian's mirror, which is taken from this machine's apt. What is missing is installed by apt. The systems
# have networks and processes of their own; nothing of this machine is changed. PACKAGE_TEST_CACHE may name a folder that
# keeps the bare system for the next run. fips is for packages of the build with FIPS 140.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
packages=$(cd "$1" && pwd)
next=$(cd "$2" && pwd)
shift 2
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(sysv rpm units systemd cluster containers)

[ "$(id -u)" = 0 ] || { echo "root is needed" >&2; exit 1; }

declare -A packages_of=([debootstrap]=debootstrap [rpm]=rpm [systemd-nspawn]=systemd-container [ip]=iproute2
    [buildah]=buildah [openssl]=openssl [strings]=binutils)
missing=()
for tool in "${!packages_of[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${packages_of[$tool]}")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

work=$(mktemp -d /tmp/package-test.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

# The bare system.
cache=${PACKAGE_TEST_CACHE:-$work}
base=$cache/base
if [ ! -e "$base.whole" ]; then
    # Either of the two places may be missing.
    mirror=$({ grep -rhv '^[[:space:]]*#' /etc/apt/sources.list /etc/apt/sources.list.d/ 2>/dev/null || true; } |
        grep -oE 'https?://[^ ]+' | sed -nE '/\/debian\/?$/{p;q}')
    [ -n "$mirror" ] || { echo "apt has no mirror of Debian here" >&2; exit 1; }
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    echo "== bare system ($suite)"
    rm -rf "$base"
    debootstrap --variant=minbase --include=procps,curl,logrotate,systemd,systemd-sysv,dbus,iproute2 "$suite" "$base" \
        "$mirror" >"$cache/debootstrap.log" || { tail "$cache/debootstrap.log"; exit 1; }
    touch "$base.whole"
fi

# system <name>: a fresh copy, with the packages in /packages and /next and the scripts in /test.
system() {
    rm -rf --one-file-system "${work:?}/$1"
    cp -a "$base" "$work/$1"
    echo "127.0.0.1 localhost package-test" >"$work/$1/etc/hosts"
    mkdir -p "$work/$1/packages" "$work/$1/next" "$work/$1/test"
    cp "$packages"/*.deb "$packages"/*.rpm "$work/$1/packages/"
    cp "$next"/*.deb "$next"/*.rpm "$work/$1/next/"
    cp "$here"/*.sh "$work/$1/test/"
}

# inside <name> <how> <script>: runs it in the copy, with processes and a network of its own.
inside() {
    unshare --mount --pid --net --uts --ipc --fork --kill-child sh -ec '
        hostname package-test
        mount --make-rprivate /
        ip link set lo up
        mount -t proc proc /proc
        mount -t proc proc "$1/proc"
        mount -t tmpfs tmpfs "$1/run"
        mount --bind /dev "$1/dev"
        exec "$2" "$1" "$3"' sh "$work/$1" "$2" "$3"
}

# booted <words...>: a machine of its own, which knows nothing of this one's services.
booted() {
    unshare --mount sh -ec '
        mount --make-rprivate /
        mount -t tmpfs tmpfs /run
        exec timeout 300 systemd-nspawn -q -D "$@"' sh \
        "$work/systemd" --private-network --register=no --keep-unit "$@" </dev/null
}

# image <meta|data>: builds it, and unpacks it below images/.
image() {
    local buildah=(buildah --storage-driver vfs --root "$work/storage" --runroot "$work/storage-run") one
    if ! "${buildah[@]}" inspect --type image localhost/bare >/dev/null 2>&1; then
        one=$("${buildah[@]}" from scratch)
        "${buildah[@]}" copy -q "$one" "$base" / >/dev/null
        "${buildah[@]}" commit -q --rm "$one" localhost/bare >/dev/null
    fi
    "${buildah[@]}" build -q --isolation chroot --build-arg BASE=localhost/bare \
        -f "$packages/containers/Containerfile.$1" -t "influxdb:$1" "$packages" >"$work/build.$1.log" 2>&1 ||
        { tail -20 "$work/build.$1.log"; return 1; }
    "${buildah[@]}" inspect --type image --format \
        '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}} {{.OCIv1.Config.ExposedPorts}} {{.OCIv1.Config.Volumes}}' \
        "localhost/influxdb:$1"
    one=$("${buildah[@]}" from "localhost/influxdb:$1")
    mkdir -p "$work/images"
    cp -a "$("${buildah[@]}" mount "$one")" "$work/images/$1"
    "${buildah[@]}" rm "$one" >/dev/null
    echo "127.0.0.1 localhost" >"$work/images/$1/etc/hosts"
    # A container has devices.
    mknod -m 666 "$work/images/$1/dev/null" c 1 3 2>/dev/null || true
    mknod -m 666 "$work/images/$1/dev/urandom" c 1 9 2>/dev/null || true
}

cat >"$work/enter" <<'END'
#!/bin/sh
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive bash "$2"
END
cat >"$work/beside" <<'END'
#!/bin/sh
exec bash "$1$2" "$1"
END
chmod 755 "$work/enter" "$work/beside"

for part in "${parts[@]}"; do
    echo "== $part"
    case $part in
    sysv)
        system sysv
        rm -f "$work/sysv/usr/bin/systemctl" "$work/sysv/bin/systemctl"
        inside sysv "$work/enter" /test/sysv.sh
        ;;
    rpm)
        system rpm
        rm -f "$work/rpm/usr/bin/systemctl" "$work/rpm/bin/systemctl"
        inside rpm "$work/beside" /test/rpm.sh
        ;;
    units)
        system units
        inside units "$work/enter" /test/units.sh
        ;;
    systemd)
        system systemd
        # What this kernel does not allow, it says here; then there is nothing to try.
        if ! booted true >"$work/nspawn.log" 2>&1; then
            echo "skipped: systemd-nspawn does not run here: $(tail -1 "$work/nspawn.log")"
            continue
        fi
        cat >"$work/systemd/lib/systemd/system/package-test.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c '/bin/bash /test/systemd.sh >/test/out 2>&1; echo $? >/test/code; systemctl poweroff --no-block'
[Install]
WantedBy=multi-user.target
END
        mkdir -p "$work/systemd/etc/systemd/system/multi-user.target.wants"
        ln -s /lib/systemd/system/package-test.service \
            "$work/systemd/etc/systemd/system/multi-user.target.wants/package-test.service"
        booted -b >"$work/boot.log" 2>&1 || true
        if [ ! -e "$work/systemd/test/code" ]; then
            cat "$work/systemd/test/out" 2>/dev/null || true
            echo "skipped: systemd does not boot here:"
            tail -5 "$work/boot.log"
            continue
        fi
        cat "$work/systemd/test/out"
        [ "$(cat "$work/systemd/test/code")" = 0 ]
        ;;
    cluster)
        mkdir -p "$work/hosts/test" "$work/hosts/proc" "$work/hosts/run" "$work/hosts/dev" "$work/hosts/packages" \
            "$work/hosts/next"
        cp "$here"/*.sh "$work/hosts/test/"
        cp "$packages"/*.deb "$work/hosts/packages/"
        cp "$next"/*.deb "$work/hosts/next/"
        cp -r "$here/../../docs/operating" "$work/hosts/docs"
        cp -a "$base" "$work/hosts/base"
        inside hosts "$work/beside" /test/cluster.sh
        ;;
    containers)
        same_shape() { [ "$1" = "$2" ] || { echo "FAIL the image is '$1', not '$2'"; exit 1; }; }
        same_shape "$(image meta)" \
            "influxdb [/entrypoint.sh] [influxd-meta] map[8089/tcp:{} 8091/tcp:{}] map[/var/lib/influxdb:{}]"
        same_shape "$(image data)" \
            "influxdb [/entrypoint.sh] [influxd] map[8086/tcp:{} 8088/tcp:{}] map[/var/lib/influxdb:{}]"
        mkdir -p "$work/images/test" "$work/images/proc" "$work/images/run" "$work/images/dev"
        cp "$here"/*.sh "$work/images/test/"
        inside images "$work/beside" /test/containers.sh
        ;;
    fips)
        system fips
        rm -f "$work/fips/usr/bin/systemctl" "$work/fips/bin/systemctl"
        inside fips "$work/beside" /test/fips.sh
        ;;
    *)
        echo "there is no part $part" >&2
        exit 1
        ;;
    esac
done
echo "packages: all parts passed (${parts[*]})"
