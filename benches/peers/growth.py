"""What a cached call costs, and what memory goes up by, as the work grows: one axis at a time, the rest small.

All services of an axis run at once and are called in turn, a few seconds each, so that what the machine does meanwhile
hits all alike.
"""

import json
import re
import shlex
import statistics
from contextlib import ExitStack

import machine
from machine import HERE, RESULTS, Process, ask

# What grows, its steps, and what the cost of a call may grow by from the first to the last.
AXES = {
    "actions": ([1, 10, 100, 1_000], 1.10),
    "customers": ([1_000, 10_000, 100_000, 1_000_000], 1.10),
    "connections": ([1, 10, 100, 1_000, 5_000], None),
    "callers": ([1, 1_000, 10_000, 100_000], None),
}
FEW = 1000
PORT = 19070


def written(nth, actions):
    """A configuration with so many actions, room for all there is, and ports of its own."""
    text = (HERE / "holdline.yaml").read_text().replace("memory: 64MiB", "memory: 2048MiB")
    for port in (PORT, PORT + 1, PORT + 2):
        text = text.replace(f":{port}", f":{port + 3 * nth}")
    # A configuration may have 50,000 keys and values: an action has fewer than 50 here.
    text = re.sub(r", default: [^}]*|\n *(?:phone|is_premium_member): .*|, stale_if_error: \w+", "", text)
    head, action = text.split("  customer-lookup:\n")
    more = (f"  customer-lookup-{nth:04d}:\n{action}" for nth in range(1, actions))
    path = RESULTS / f"growth-{nth}.yaml"
    path.write_text(f"{head}  customer-lookup:\n{action}{''.join(more)}")
    return path


def fill(port, actions, entries, tokens, first=0, count=None):
    """Asks for every entry with every token in turn."""
    done, count = 0, count or max(entries, tokens)
    while done < count:
        # wrk stops by the clock: what it overshoots has been asked for twice.
        done += machine.wrk(port, 32, 1 if count - done < 100_000 else 5, "in-turn", actions, entries, tokens, first + done)["calls"] - 32


def shape(axis, step):
    """Actions, entries, tokens and connections of a step."""
    sizes = {"actions": 1, "customers": FEW, "callers": 1, "connections": 32} | {axis: step}
    return sizes["actions"], sizes["customers"], sizes["callers"], sizes["connections"]


def begun(nth, axis, step, binary):
    actions, entries, tokens, _ = shape(axis, step)
    command = f"{shlex.quote(str(binary))} serve -c {shlex.quote(str(written(nth, actions)))}"
    process = Process(command, machine.SERVER, name=f"growth-{nth}")
    port = PORT + 3 * nth
    process.until(f"{step} {axis}", lambda: ask(port + 1, "/readyz")[0] == 200)
    # What every service holds after its first calls is no growth.
    fill(port, 1, FEW, 1)
    machine.wrk(port, 32, 1, "any", 1, FEW, 1, 1)
    process.settle()
    before = process.memory()
    if axis != "connections":
        fill(port, actions, entries, tokens)
        kept = json.loads(ask(port + 2, "/caches")[1])
        if axis == "customers" and kept["answers"]["entries"] < entries:
            raise SystemExit(f"{kept['answers']['entries']} answers are cached, not {entries}")
        process.settle()
    return process, before, process.memory() - before


def turn(process, nth, axis, step, seconds):
    actions, entries, tokens, connections = shape(axis, step)
    port, before = PORT + 3 * nth, process.worked()
    seen = machine.wrk(port, connections, seconds, "any", actions, entries, tokens, nth + int(before))
    if seen["bad"]:
        raise SystemExit(f"{step} {axis}: {seen['bad']} calls failed")
    return (process.worked() - before) / seen["calls"] * 1e6


def one(axis, steps, most, arguments):
    with ExitStack() as running:
        services = []
        for nth, step in enumerate(steps):
            process, before, memory = begun(nth, axis, step, arguments.binary)
            running.enter_context(process)
            services.append((nth, step, process, before, memory, []))
        for number in range(arguments.rounds + 1):
            for nth, step, process, _, _, costs in services:
                cost = turn(process, nth, axis, step, arguments.seconds)
                if number:  # the first round warms up
                    costs.append(cost)
        first = services[0][5]
        for _, step, process, before, memory, costs in services:
            if axis == "connections":
                # What it had for them it keeps for those to come.
                memory = process.memory() - before
            ratio = statistics.median(cost / of for cost, of in zip(costs, first))
            each = f"{memory * (1 << 20) / step:12,.0f}" if step >= 100 else ""
            print(f"{axis:12} {step:10,} {statistics.median(costs):9.1f} ({min(costs):.1f}-{max(costs):.1f})"
                  f" {ratio:8.3f} {memory:9.1f} {each}", flush=True)
    if most is None:
        return True
    holds = ratio <= most
    print(f"{'holds' if holds else 'BROKEN':13} from {steps[0]:,} to {steps[-1]:,} {axis} a cached call grows to {ratio:.3f}; "
          f"wanted at most {most}")
    return holds


def measure(arguments):
    wanted = [axis for axis in arguments.axes.split(",") if axis] or list(AXES)
    print(f"{arguments.rounds} rounds of {arguments.seconds} s; cached calls by 32 connections, any of {FEW} customers\n")
    print(f"{'of':12} {'so many':>10} {'us of CPU a call':>21} {'x first':>8} {'MiB more':>9} {'bytes each':>12}")
    return all([one(axis, *AXES[axis], arguments) for axis in wanted])
