#!/usr/bin/env -S python3 -B
"""The product beside its peers, each as a process on a processor of its own: `make bench`.

What is compared first is processor time per call, user and system, since that hardly depends on what else the machine
does. Peers take turns (A B C, A B C), and the median of the rounds counts. What is not installed is left out.
"""

import argparse
import json
import shlex
import statistics
import time
import tomllib

import growth
import machine
from machine import BUILT, HERE, RESULTS, Process, ask, call

BACKEND = 19000
CUSTOMERS = 1000
MIB = 1 << 20
# Of each: the calls, and how many a second; none: as many as are answered, by 32 connections.
SCENARIOS = {
    "cached": ("known", None),
    "uncached": ("new", None),
    "cached, 2,000/s": ("known", 2000),
    "uncached, 2,000/s": ("new", 2000),
}
fresh = iter(range(100_000_000, 999_000_000, 2_000_000))  # where customers begin that nobody has asked for


def begun(peer):
    """Starts it, and sees that it answers and refuses as it should."""
    command = peer["command"].format(built=BUILT, holdline=peer["holdline"])
    env = {"PORT": str(peer["port"]), "BACKEND": f"127.0.0.1:{BACKEND}"} | peer.get("env", {})
    process = Process(command, machine.SERVER, env, peer["name"])
    process.until(peer["name"], lambda: call(peer["port"], 42)[0] == 200)
    user = json.loads(ask(BACKEND, "/users/42")[1])
    mapped = {"full_name": user["name"], "email": user["email"], "phone": user["phone"], "is_premium_member": False}
    wanted = user if peer.get("answers") == "raw" else {"data": mapped}
    answer = json.loads(call(peer["port"], 42)[1])
    if answer != wanted:
        raise SystemExit(f"{peer['name']}: a wrong answer: {answer}")
    if peer.get("checks") and not all(400 <= call(peer["port"], 42, token)[0] < 500 for token in (None, "bad-token")):
        raise SystemExit(f"{peer['name']}: takes any token")
    return process


def measured(peer, scenario, seconds):
    kind, per_second = SCENARIOS[scenario]
    port = peer["port"]
    with begun(peer) as process:
        if kind == "known":
            machine.wrk(port, 16, 1, "in-turn", 1, CUSTOMERS, 1, 0)
        machine.wrk(port, 32, 2, kind, CUSTOMERS if kind == "known" else next(fresh))
        process.settle()
        which = CUSTOMERS if kind == "known" else next(fresh)
        began, before, stolen = time.monotonic(), process.worked(), machine.stolen()
        if per_second:
            seen = machine.rate(port, per_second, seconds, kind, which)
        else:
            seen = machine.wrk(port, 32, seconds, kind, which)
        worked, took = process.worked() - before, time.monotonic() - began
        if seen["bad"]:
            raise SystemExit(f"{peer['name']}, {scenario}: {seen['bad']} calls were not answered as they should be")
        seen |= {"peer": peer["name"], "scenario": scenario, "cpu": worked / seen["calls"] * 1e6,
                 "rate": seen["calls"] / seen["seconds"], "memory": process.memory(),
                 "stolen": (machine.stolen() - stolen) / took}
        return seen


def rounds(peers, scenarios, arguments):
    rows = []
    with open(RESULTS / "rounds.jsonl", "w") as kept:
        for scenario in scenarios:
            for _ in range(arguments.rounds):
                for peer in peers:
                    if scenario not in peer.get("runs", SCENARIOS):
                        continue
                    row = measured(peer, scenario, arguments.seconds)
                    rows.append(row)
                    kept.write(json.dumps(row) + "\n")
                    kept.flush()
                    print(f"  {scenario:18} {row['peer']:15} {row['cpu']:7.1f} us, {row['rate']:7.0f}/s", flush=True)
    return rows


class Seen:
    """What the rounds have shown, by scenario and peer."""

    def __init__(self, rows):
        self.rows = rows

    def of(self, scenario, peer, what):
        return [row[what] for row in self.rows if (row["scenario"], row["peer"]) == (scenario, peer)]

    def median(self, scenario, peer, what="cpu"):
        values = self.of(scenario, peer, what)
        return statistics.median(values) if values else None

    def ratio(self, scenario, peer, other, what="cpu"):
        ours, theirs = self.median(scenario, peer, what), self.median(scenario, other, what)
        return ours / theirs if ours and theirs else None


def table(seen):
    print(f"\n{'scenario':18} {'peer':15} {'us of CPU a call':>19} {'x bare':>7} {'x nginx':>7} "
          f"{'p50 us':>8} {'p99 us':>8} {'calls/s':>8} {'MiB':>6} {'stolen':>6}  failed")
    for scenario in SCENARIOS:
        bare = "bare-axum" if scenario.startswith("cached") else "bare-fetch"
        names = {row["peer"] for row in seen.rows if row["scenario"] == scenario}
        for name in sorted(names, key=lambda name: seen.median(scenario, name)):
            costs = seen.of(scenario, name, "cpu")
            spread = f"{statistics.median(costs):.1f} ({min(costs):.1f}-{max(costs):.1f})"
            ratios = [seen.ratio(scenario, name, other) for other in (bare, "nginx-njs")]
            ratios = " ".join(f"{ratio:7.2f}" if ratio else f"{'':7}" for ratio in ratios)
            p50, p99, rate, memory = (seen.median(scenario, name, what) for what in ("p50", "p99", "rate", "memory"))
            stolen = statistics.mean(seen.of(scenario, name, "stolen"))
            print(f"{scenario:18} {name:15} {spread:>19} {ratios} {p50:8.0f} {p99:8.0f} {rate:8.0f} {memory:6.1f} "
                  f"{100 * stolen:5.0f}%  {sum(seen.of(scenario, name, 'bad'))}")


def verdict(claim, figure, most, unit="", least=False):
    """Prints whether a claim holds; what was not measured says so."""
    wanted = f"wanted {'at least' if least else 'at most'} {most:,.6g}{unit}"
    if figure is None:
        print(f"not measured  {claim}; {wanted}")
        return True
    holds = figure >= most if least else figure <= most
    shown = f"{figure:,.0f}" if figure >= 1000 else f"{figure:.4g}"
    print(f"{'holds' if holds else 'BROKEN':13} {claim}: {shown}{unit}; {wanted}")
    return holds


def verdicts(seen):
    cached, uncached, slowly = "cached", "uncached", "uncached, 2,000/s"
    ours = "holdline"
    added = {}
    for what in ("p50", "p99"):
        values = [seen.median(slowly, peer, what) for peer in (ours, "direct")]
        added[what] = values[0] - values[1] if None not in values else None
    nginx = seen.ratio(cached, ours, "nginx-njs", "p99")
    return all([
        verdict("a cached call costs, of bare axum's (aim 1.15)", seen.ratio(cached, ours, "bare-axum"), 1.4),
        verdict("a cached call costs, of nginx's with njs", seen.ratio(cached, ours, "nginx-njs"), 0.8),
        verdict("p99 of cached calls, of nginx's with njs", nginx, 1.0),
        verdict("an uncached call costs, of a bare fetch's (aim 1.25)", seen.ratio(uncached, ours, "bare-fetch"), 1.6),
        verdict("an uncached call costs, of a bare Pingora's", seen.ratio(uncached, ours, "pingora-pass"), 1.0),
        verdict("uncached calls a second, of nginx's with njs", seen.ratio(uncached, ours, "nginx-njs", "rate"), 5.0, least=True),
        verdict("added at 2,000/s to the backend's own p50", added["p50"], 150, " us"),
        verdict("added at 2,000/s to the backend's own p99", added["p99"], 1000, " us"),
    ])


def alone(peer, count):
    """What the product takes to start, to do nothing, and to hold a cache that is full."""
    starts, idle = [], []
    for _ in range(count):
        with Process(peer["command"].format(holdline=peer["holdline"]), machine.SERVER, name="start") as process:
            starts.append(process.until("holdline", lambda: ask(19071, "/readyz")[0] == 200) * 1000)
            time.sleep(1)
            idle.append(process.memory())
    with begun(peer) as process:
        # More than there is room for.
        for first in range(0, 200_000, 20_000):
            growth.fill(19070, 1, 200_000, 1, first, 20_000)
        process.settle()
        answers = json.loads(ask(19072, "/caches")[1])["answers"]
        held = process.memory()
    room = answers["capacity_bytes"] / MIB
    return all([
        verdict("from start to ready", statistics.median(starts), 100, " ms"),
        verdict("idle memory", statistics.median(idle), 25, " MiB"),
        verdict(f"answers in {room:.0f} MiB of cache", answers["entries"], 150_000, least=True),
        verdict("memory with the cache full", held, 1.5 * room + 32, " MiB"),
    ])


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="", help="peers, by their names in peers.toml, with commas")
    options.add_argument("--scenarios", default="", help=f"of {'; '.join(SCENARIOS)}; with semicolons")
    options.add_argument("--rounds", type=int, default=5, help="rounds that count (5)")
    options.add_argument("--seconds", type=int, default=5, help="seconds of each measurement (5)")
    options.add_argument("--binary", help="another build of the product")
    options.add_argument("--growth", action="store_true", help="in place of the peers: what a call costs as the work grows")
    options.add_argument("--axes", default="", help=f"of {', '.join(growth.AXES)}; with commas")
    arguments = options.parse_args()
    machine.ready()
    machine.build(arguments.binary)
    print("\n".join(machine.described()))
    arguments.binary = arguments.binary or machine.TARGET / "release/holdline"
    with Process(f"{BUILT}/backend", machine.REST, {"PORT": str(BACKEND)}) as backend:
        backend.until("the backend", lambda: ask(BACKEND, "/users/1")[0] == 200)
        if arguments.growth:
            raise SystemExit(0 if growth.measure(arguments) else "a claim does not hold")
        peers = tomllib.loads((HERE / "peers.toml").read_text())["peer"]
        only = [name for name in arguments.only.split(",") if name]
        unknown = set(only) - {peer["name"] for peer in peers}
        if unknown:
            raise SystemExit(f"not in peers.toml: {', '.join(unknown)}")
        peers = [peer | {"holdline": shlex.quote(str(arguments.binary))} for peer in peers if not only or peer["name"] in only]
        for peer in peers:
            if not machine.has(peer.get("needs", "taskset")):
                print(f"LEFT OUT: {peer['name']}: there is no {peer['needs']}")
        peers = [peer for peer in peers if machine.has(peer.get("needs", "taskset"))]
        scenarios = [name.strip() for name in arguments.scenarios.split(";") if name] or list(SCENARIOS)
        print(f"{arguments.rounds} rounds of {arguments.seconds} s; server on processor {machine.SERVER}, all else on {machine.REST}")
        seen = Seen(rounds(peers, scenarios, arguments))
        table(seen)
        print()
        good = verdicts(seen)
        for peer in peers:
            if peer["name"] == "holdline":
                good &= alone(peer, arguments.rounds)
    raise SystemExit(0 if good else "a claim does not hold")


if __name__ == "__main__":
    main()
