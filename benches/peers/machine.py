"""Processes that are measured, on processors of their own, and the machine they are on."""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
RESULTS = TARGET / "peers"
BUILT = RESULTS / "release"
# Servers have one processor, all that calls and answers them another.
SERVER, REST = "0", "1"
TICK = os.sysconf("SC_CLK_TCK")
# Nothing of this shell's own.
CLEAN = {"PATH": os.environ["PATH"] + ":/usr/sbin", "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
ACTION = "/data-action/customer-lookup"


def has(program):
    return os.path.exists(program) if program.startswith("/") else shutil.which(program, path=CLEAN["PATH"]) is not None


class Process:
    """A tree of processes that is started here, and ends with the block it is used in."""

    def __init__(self, command, cpu, env=None, name=None):
        log = open(RESULTS / f"{name}.log", "wb") if name else subprocess.DEVNULL
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            ["taskset", "-c", cpu, *shlex.split(command)], cwd=HERE, env=CLEAN | (env or {}),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pids = self.tree()
        self.child.terminate()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            pass
        for pid in pids:
            try:
                if os.getsid(pid) == self.child.pid:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.child.wait()

    def tree(self):
        seen, todo = [], [self.child.pid]
        while todo:
            seen.append(todo.pop())
            for children in Path(f"/proc/{seen[-1]}/task").glob("*/children"):
                try:
                    todo += map(int, children.read_text().split())
                except OSError:
                    pass
        return seen

    def worked(self):
        """Seconds of processor time, user and system, of all of them."""
        ticks = 0
        for pid in self.tree():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
            except OSError:
                pass
        return ticks / TICK

    def memory(self):
        """MiB that are resident; what processes share counts for each."""
        kib = 0
        for pid in self.tree():
            try:
                kib += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
            except (OSError, TypeError):
                pass
        return kib / 1024

    def until(self, what, wanted, seconds=30):
        """Waits until `wanted` holds; gives the seconds since the start."""
        while True:
            try:
                if wanted():
                    return time.monotonic() - self.began
            except OSError:
                pass
            if self.child.poll() is not None or time.monotonic() - self.began > seconds:
                raise SystemExit(f"{what}: it does not start; its log is in {RESULTS}")
            time.sleep(0.001)

    def settle(self):
        """Waits until it is done with what came before."""
        for _ in range(40):
            before = self.worked()
            time.sleep(0.25)
            if self.worked() - before < 0.03:
                return


def ask(port, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("POST" if body is not None else "GET", path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def call(port, customer, token="good-token-0123456789abcdef"):
    headers = {"Content-Type": "application/json"} | ({"X-Genesys-Auth-Token": token} if token else {})
    return ask(port, ACTION, json.dumps({"data": {"customer_id": customer}}), headers)


def printed(command):
    out = subprocess.run(["taskset", "-c", REST, *map(str, command)], cwd=HERE, capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(f"{command[0]}: {out.stderr or out.stdout}")
    return json.loads(out.stdout.strip().rsplit("\n", 1)[-1])


def wrk(port, connections, seconds, *kind):
    """Calls as fast as they are answered."""
    return printed(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", HERE / "load/calls.lua",
                    f"http://127.0.0.1:{port}{ACTION}", "--", *kind])


def rate(port, per_second, seconds, *kind):
    """Calls on a fixed schedule."""
    return printed([BUILT / "rate", f"127.0.0.1:{port}", per_second, seconds, *kind, 32])


def stolen():
    """Seconds that the hypervisor has taken from all processors since boot."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / TICK


def said(*command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, env=CLEAN)
        return (out.stdout + out.stderr).strip().split("\n")[0]
    except OSError:
        return None


def described():
    """Lines that say what it is measured on, and with what."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    lines = [f"{cpu[1] if cpu else 'unknown processor'}, {os.cpu_count()} cores; Linux {os.uname().release}",
             said("rustc", "--version")]
    for program in (["nginx", "-v"], ["haproxy", "-v"], ["varnishd", "-V"], ["wrk", "-v"]):
        lines.append(said(*program))
    locked = tomllib.loads((HERE / "Cargo.lock").read_text())["package"]
    crates = [f"{of['name']} {of['version']}" for of in locked if of["name"] in ("hyper", "axum", "tokio", "pingora-proxy")]
    return [line for line in lines if line] + [", ".join(crates)]


def build(binary):
    """Builds the peers that are ours, and the product unless a build of it is given."""
    for arguments in ([] if binary else [["--manifest-path", ROOT / "Cargo.toml"]]) + [
            ["--manifest-path", HERE / "Cargo.toml", "--target-dir", RESULTS]]:
        subprocess.run(["cargo", "build", "--locked", "--release", "--quiet", *arguments], cwd=ROOT, check=True)


def ready():
    """Sees that there is what every run needs."""
    missing = [program for program in ("wrk", "taskset") if not has(program)]
    if missing or (os.cpu_count() or 1) < 2:
        sys.exit(f"the comparison wants two cores and {' and '.join(missing) or 'nothing else'}: "
                 "apt-get install wrk nginx-light libnginx-mod-http-js haproxy varnish varnish-modules")
    for port in (19000, 19005, 19010, 19020, 19025, 19030, 19060, 19070, 19071, 19072):
        with socket.socket() as taken:
            if taken.connect_ex(("127.0.0.1", port)) == 0:
                sys.exit(f"something listens on 127.0.0.1:{port}: it would be measured in place of ours")
    RESULTS.mkdir(parents=True, exist_ok=True)
