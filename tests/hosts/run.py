#!/usr/bin/env python3
"""The 0.10 clustering guide on hosts of its own, and what happens when the network is cut.

    tests/hosts/run.py [--bin target/release] [--only NAME]

Every host is a network namespace with one address on a bridge in one more namespace; nothing on the machine's own network
is touched. Needs root and the packages iproute2 and iptables. Prints one line a check, then `N passed, M failed`.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = f"ms{os.getpid() % 100000}"


def sh(*words, check=True, stdin=None, timeout=60):
    done = subprocess.run(words, capture_output=True, text=True, input=stdin, timeout=timeout)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Host:
    """One namespace with one influxd."""

    def __init__(self, net, number):
        self.net, self.number = net, number
        self.ip = f"10.88.0.{10 + number}"
        self.space = f"{RUN}h{number}"
        self.dir = net.dir / f"host-{number}"
        self.dir.mkdir()
        self.process = None
        sh("ip", "netns", "add", self.space)
        sh("ip", "link", "add", f"{RUN}v{number}", "netns", net.switch, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        sh("ip", "-n", net.switch, "link", "set", f"{RUN}v{number}", "master", "br0", "up")
        sh("ip", "-n", self.space, "addr", "add", f"{self.ip}/24", "dev", "eth0")
        sh("ip", "-n", self.space, "link", "set", "eth0", "up")
        sh("ip", "-n", self.space, "link", "set", "lo", "up")

    def inside(self, *words, **more):
        return sh("ip", "netns", "exec", self.space, *words, **more)

    def configure(self, meta=True, data=True):
        (self.dir / "influxdb.conf").write_text(
            f'reporting-disabled = true\n[meta]\n  enabled = {str(meta).lower()}\n  dir = "{self.dir}/meta"\n'
            f'  bind-address = "{self.ip}:8088"\n  http-bind-address = "{self.ip}:8091"\n'
            f'[data]\n  enabled = {str(data).lower()}\n  dir = "{self.dir}/data"\n  wal-dir = "{self.dir}/wal"\n'
            f'[hinted-handoff]\n  enabled = true\n  dir = "{self.dir}/hh"\n'
            f'[http]\n  enabled = true\n  bind-address = "{self.ip}:8086"\n  log-enabled = false\n')

    def start(self, *more):
        log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.space, str(self.net.bin / "influxd"), "-config", str(self.dir / "influxdb.conf"), *more],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self.http("GET", "/ping")[0] == 204, 40, f"host {self.number} answers")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def http(self, method, path, params=None, body="", timeout=15):
        """Asked from inside the host itself, by curl."""
        url = f"http://{self.ip}:8086{path}" + ("?" + urllib.parse.urlencode(params) if params else "")
        out = self.inside("curl", "-sS", "-m", str(timeout), "-X", method, "-w", "\n%{http_code}", "--data-binary", "@-", url,
                          stdin=body, timeout=timeout + 5)
        text, _, status = out.rpartition("\n")
        return int(status), text

    def query(self, text, **params):
        status, answer = self.http("POST", "/query", {"q": text, "epoch": "ns", **params})
        document = json.loads(answer)
        for result in document.get("results", []):
            if "error" in result:
                raise RuntimeError(f"host {self.number}: {text}: {result['error']}")
        assert status == 200, answer
        return document["results"][-1].get("series", [])

    def write(self, lines, **params):
        status, answer = self.http("POST", "/write", params, "\n".join(lines))
        assert status == 204, f"host {self.number}: {status} {answer.strip()}"

    def servers(self):
        return {s["name"]: {row[1]: (row[0], row[2]) for row in s["values"]} for s in self.query("SHOW SERVERS")}

    def totals(self, **params):
        series = self.query("SELECT count(v), sum(v) FROM m", db="d", **params)
        return tuple(series[0]["values"][0][1:]) if series else (0, 0)

    def cut(self, others):
        for other in others:
            for chain, flag in (("INPUT", "-s"), ("OUTPUT", "-d")):
                self.inside("iptables", "-A", chain, flag, other.ip, "-j", "DROP")

    def heal(self):
        self.inside("iptables", "-F")


class Network:
    def __init__(self, bin_dir, count):
        self.bin = bin_dir
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mainstem-hosts-"))
        self.switch = f"{RUN}sw"
        self.hosts = []
        sh("ip", "netns", "add", self.switch)
        sh("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", self.switch, "link", "set", "br0", "up")
        self.hosts = [Host(self, number) for number in range(1, count + 1)]

    def close(self):
        for host in self.hosts:
            if host.process and host.process.poll() is None:
                host.process.kill()
                host.process.wait()
            sh("ip", "netns", "del", host.space, check=False)
        sh("ip", "netns", "del", self.switch, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def until(probe, seconds, what):
    deadline, last = time.monotonic() + seconds, None
    while True:
        try:
            if probe():
                return
            last = "not yet"
        except Exception as error:  # whatever a starting server can provoke
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s; last: {last}")
        time.sleep(0.1)


def lines(first, count):
    return [f"m,host=h{n % 7} v={n}i {1_700_000_000_000_000_000 + n}" for n in range(first, first + count)]


def want(count):
    return count, count * (count - 1) // 2


def guide(net):
    """The guide's steps: a first node, two that join, a data-only node, restarts, ids that stay."""
    a, b, c, d = net.hosts
    for host in (a, b, c):
        host.configure()
    d.configure(meta=False)
    a.start()
    b.start("-join", f"{a.ip}:8091")
    c.start("-join", f"{d.ip}:8091,{a.ip}:8091")    # the first address is dead
    d.start("-join", f"{b.ip}:8091")
    everyone = {f"{h.ip}:8086": f"{h.ip}:8088" for h in net.hosts}
    voters = {f"{h.ip}:8091": f"{h.ip}:8088" for h in (a, b, c)}
    def listed(host):
        servers = host.servers()
        data = {k: v[1] for k, v in servers["data_nodes"].items()}
        meta = {k: v[1] for k, v in servers["meta_nodes"].items()}
        return data == everyone and meta == voters
    for host in net.hosts:
        until(lambda: listed(host), 20, f"host {host.number} lists all servers")
    ids = a.servers()
    for host in net.hosts:
        assert host.stop() == 0, f"host {host.number} did not end in order"
        host.start()
        until(lambda: host.servers() == ids, 20, f"host {host.number} has the same ids")


def isolated_owner(net):
    """Cut off from all others, an owner misses writes; they go on at quorum; healed, it has them by itself."""
    a, b, c = net.hosts
    form(net)
    a.query("CREATE DATABASE d")
    a.write(lines(0, 500), db="d", consistency="all")
    c.cut([a, b])
    for first in range(500, 1000, 100):
        until(lambda: a.write(lines(first, 100), db="d", consistency="quorum") is None, 30, "a write at quorum")
    assert a.totals() == want(1000) and b.totals() == want(1000), (a.totals(), b.totals())
    c.heal()
    def alone():
        c.cut([a, b])
        try:
            return c.totals() == want(1000)
        finally:
            c.heal()
    until(alone, 60, "the owner, asked alone, has everything")
    for host in net.hosts:
        assert host.totals() == want(1000), host.totals()


def isolated_leader(net):
    """The leader of the metadata is cut off: another takes over and DDL works; data flows all the time."""
    form(net)
    a = net.hosts[0]
    a.query("CREATE DATABASE d")
    a.write(lines(0, 100), db="d", consistency="all")
    leader_address = a.inside("curl", "-sS", f"http://{a.ip}:8091/ping").partition(":")[0]
    leader = next(host for host in net.hosts if host.ip == leader_address)
    others = [host for host in net.hosts if host is not leader]
    leader.cut(others)
    began = time.monotonic()
    until(lambda: others[0].query("CREATE DATABASE later") == [], 15, "DDL without the old leader")
    took = time.monotonic() - began
    others[1].write(lines(100, 100), db="d", consistency="quorum")
    assert others[0].totals() == want(200)
    leader.heal()
    until(lambda: ["later"] in leader.query("SHOW DATABASES")[0]["values"], 20, "the old leader follows")
    until(lambda: leader.totals() == want(200), 30, "the old leader has all points")
    return f"DDL after {took:.1f} s"


def form(net):
    for host in net.hosts:
        host.configure()
    net.hosts[0].start()
    for host in net.hosts[1:]:
        host.start("-join", f"{net.hosts[0].ip}:8091")
    until(lambda: all(len(h.servers().get("data_nodes", {})) == len(net.hosts) for h in net.hosts), 20, "all are listed")


CHECKS = [(guide, 4), (isolated_owner, 3), (isolated_leader, 3)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for tool in ("ip", "iptables", "curl"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: apt-get install iproute2 iptables curl")
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    passed = failed = 0
    for check, count in CHECKS:
        if not check.__name__.startswith(options.only):
            continue
        began, net = time.monotonic(), None
        try:
            net = Network(options.bin.resolve(), count)
            note = check(net)
            passed += 1
            print(f"ok {check.__name__} ({time.monotonic() - began:.1f} s{'; ' + note if note else ''})", flush=True)
        except Exception as error:  # a broken server fails a check, not the script
            failed += 1
            print(f"FAIL {check.__name__}: {error}", flush=True)
            for host in net.hosts if net else []:
                log = host.dir / "log"
                tail = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
                print("".join(f"  host {host.number}: {line}\n" for line in tail), end="", flush=True)
        finally:
            if net:
                net.close()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
