#!/usr/bin/env python3
"""Compares the cases of this folder with the reference server, or records its answers.

    record.py                     asks the reference, prints where its answers differ from the files
    record.py --bless             ... and writes its answers into the files
    record.py --own INFLUXD       asks our server: only the steps marked as differing or not yet there
    record.py ... NAME ...        only the files cases/NAME.txt

The format of the files is described in README.md. Starts servers of its own on free ports of 127.0.0.1 in temporary
folders, and ends only those. Needs nothing but Python 3.
"""

import argparse
import difflib
import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

CASES = pathlib.Path(__file__).parent / "cases"
REFERENCE = "/usr/bin/influxd"
COLUMNS_MAX = 140
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")
REPEAT = re.compile(r"\*(\d+) (.*)", re.S)
COUNTER = re.compile(r"\{n((?:[*%+/-]\d+)*)\}")


class Step:
    """One request and the answer in the file; `first` and `last` are the lines of the answer."""

    def __init__(self):
        self.marks, self.request, self.headers, self.body = [], "", {}, []
        self.answer, self.first, self.last = [], None, None

    @property
    def is_marked(self):
        return any(mark.startswith(("differs:", "not yet:")) for mark in self.marks)


def read(text):
    """The lines of a file and its steps."""
    lines, steps, marks, step = text.split("\n"), [], [], None
    for number, line in enumerate(lines):
        if line.startswith("#"):
            marks.append(line[1:].strip())
        elif line.startswith(">"):
            if step is None or step.answer:
                step = Step()
                step.marks, marks = marks, []
                steps.append(step)
                step.request = line[2:]
                step.first = step.last = number + 1
            elif line.startswith(">: "):
                name, value = line[3:].split(": ", 1)
                step.headers[name] = value
                step.first = step.last = number + 1
            else:
                step.body.append(line[2:])
                step.first = step.last = number + 1
        elif line.startswith("<"):
            step.answer.append(line)
            step.last = number + 1
        elif not line.strip():
            marks, step = [], None
    return lines, steps


def counted(match, n):
    value = n
    for sign, number in re.findall(r"([*%+/-])(\d+)", match.group(1)):
        number = int(number)
        value = {"*": value * number, "%": value % number, "+": value + number, "-": value - number,
                 "/": value // number}[sign]
    return str(value)


def body_of(step):
    out = []
    for line in step.body:
        repeat = REPEAT.fullmatch(line)
        if repeat:
            out += [COUNTER.sub(lambda m: counted(m, n), repeat.group(2)) for n in range(int(repeat.group(1)))]
        else:
            out.append(line)
    text = "\n".join(out)
    for name, byte in (("<CR>", "\r"), ("<TAB>", "\t"), ("<NUL>", "\0")):
        text = text.replace(name, byte)
    return text.encode()


def target_of(step):
    """Method and target of a request line."""
    word, _, rest = step.request.partition(" ")
    if word in METHODS:
        return word, rest
    if word not in ("write", "query"):
        raise SystemExit(f"unknown request {step.request!r}")
    pairs = []
    while rest:
        if rest.startswith("q="):
            pairs.append(("q", rest[2:]))
            break
        pair, _, rest = rest.partition(" ")
        pairs.append(tuple(pair.split("=", 1)))
    query = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in pairs)
    return "POST", f"/{word}?{query}"


def shown(body):
    """The body as lines of the file."""
    try:
        text = body.decode()
        if any(ord(char) < 32 and char != "\n" for char in text):
            raise ValueError
    except ValueError:
        return ["< (bytes) " + "".join(escaped(byte) for byte in body)]
    if not text:
        return []
    ended = text.endswith("\n")
    out = []
    for line in (text[:-1] if ended else text).split("\n"):
        out += wrapped(line) if line else ["<"]
    return out + ([] if ended else ["< (no newline)"])


def escaped(byte):
    known = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 39: "\\'", 92: "\\\\"}
    return known.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")


def wrapped(line):
    """Long lines go on after a comma that an object or a list follows."""
    pieces = re.split(r"(?<=,)(?=[\[{])", line)
    out, current = [], ""
    for piece in pieces:
        if current and len(current) + len(piece) > COLUMNS_MAX:
            out.append(current)
            current = ""
        current += piece
    out.append(current)
    return [("< " if index == 0 else "<+ ") + part for index, part in enumerate(out)]


def ask(address, step):
    """The answer as lines of the file. Of the headers those that the file names."""
    method, target = target_of(step)
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request(method, target, body=body_of(step), headers=step.headers)
    response = connection.getresponse()
    body = response.read()
    out = [f"< {response.status}"]
    for line in step.answer:
        if line.startswith("<: "):
            name = line[3:].split(":")[0]
            value = response.getheader(name)
            out.append(f"<: {name}: {value}" if value is not None else f"<: {name}: (none)")
    connection.close()
    return out + shown(body)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server with an empty folder."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="compat-")
        api, rpc, meta = free_port(), free_port(), free_port()
        self.address = ("127.0.0.1", api)
        config = f"""
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{self.folder}/meta"
  bind-address = "127.0.0.1:{rpc}"
  http-bind-address = "127.0.0.1:{meta}"
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
  index-version = "tsi1"
[hinted-handoff]
  dir = "{self.folder}/hh"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{api}"
  log-enabled = false
[subscriber]
  enabled = false
"""
        path = os.path.join(self.folder, "server.conf")
        pathlib.Path(path).write_text(config)
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen([program, "-config", path], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        for _ in range(1500):
            try:
                connection = http.client.HTTPConnection(*self.address, timeout=5)
                connection.request("GET", "/ping")
                if connection.getresponse().status == 204:
                    return
            except OSError:
                if self.process.poll() is not None:
                    break
            time.sleep(0.02)
        log = pathlib.Path(self.folder, "log").read_text()
        self.stop()
        raise SystemExit(f"{program} does not answer:\n{log}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def run(path, program, own, bless):
    """Asks everything in one file; tells how many steps were asked and how many differ."""
    lines, steps = read(path.read_text())
    server, different, compared = Server(program), 0, 0
    changes = []
    try:
        for step in steps:
            got = ask(server.address, step)
            if step.is_marked != own:
                if step.is_marked and got == step.answer:
                    print(f"{path.name}:{step.first}: the reference answers the same; the mark is not needed")
                continue
            compared += 1
            if got != step.answer:
                different += 1
                changes.append((step, got))
                if not bless:
                    print(f"{path.name}:{step.first}: {step.request}")
                    for line in list(difflib.ndiff(step.answer, got))[:60]:
                        print("    " + line)
    finally:
        server.stop()
    if bless:
        for step, got in reversed(changes):
            lines[step.first:step.last] = got
        path.write_text("\n".join(lines))
    return compared, different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bless", action="store_true")
    parser.add_argument("--own", metavar="INFLUXD")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    paths = [CASES / f"{name}.txt" for name in options.names] or sorted(CASES.glob("*.txt"))
    compared = different = 0
    for path in paths:
        counts = run(path, options.own or REFERENCE, options.own is not None, options.bless)
        compared, different = compared + counts[0], different + counts[1]
    print(f"{compared} steps of {len(paths)} files, {different} {'written anew' if options.bless else 'differ'}")
    return 1 if different and not options.bless else 0


if __name__ == "__main__":
    sys.exit(main())
