"""Edges over lines of misbehaving slaves, and what must hold whatever those do."""

import random

import harness
import ill_slaves
import slaves
from harness import wait_until

TIMEOUT_MS = 300
# Two registers of a place and a count each, too far apart for one read.
ILL_MAP = slaves.HEADER + ("a,3,7,uint16,AB,1,0,,ro,\nna,3,8,uint16,AB,1,0,,ro,\n"
                           "b,3,519,uint16,AB,1,0,,ro,\nnb,3,520,uint16,AB,1,0,,ro,\n")


def link(name, url, *units, timeout=TIMEOUT_MS):
    return (f'  - name: {name}\n    url: "{url}"\n    timeout: {timeout}ms\n    units:\n'
            + "".join(f"      - {unit}\n" for unit in units))


def good(sample):
    return sample[3] == "good"


def unit(number, name, map_="one.csv", interval="250ms", folder=""):
    return f'{{unit: {number}, map: "{folder}/{map_}", name: {name}, interval: {interval}}}'


def edge_of(place, links):
    broker = place.broker().start()
    centre = place.centre_by_hand(broker)
    place.edge(broker, "e1", links, site="s", more="drain: 5s\n").start()
    return centre


def write_map(place):
    (place.folder / "ill.csv").write_text(ILL_MAP, "utf-8")


def open_lines(place):
    lines = {"tcp": ill_slaves.TcpLine(), "server": ill_slaves.ServerLine(),
             "dtu": ill_slaves.DtuLine(harness.free_port(), "ILL1"), "serial": ill_slaves.SerialLine()}
    for line in lines.values():
        place.add(line).start()
    write_map(place)
    return lines


def check_no_wrong_number(centre, lines, number):
    """A register shows where it comes from, and its neighbour when: no value from elsewhere or from before."""
    checked = 0
    for name, t_ms, value, quality, _, _ in centre.samples("e1"):
        of, point = name.split(".")[1:]
        kind, _, who = of.partition("-")
        if quality != "good":
            assert value is None, name
        elif point in ("a", "b"):
            assert value == number(kind, who) << 8 | 7, f"{name}: {value:#x}"
            checked += 1
        else:
            # Stamped halfway between request and reply, so within half the timeout; a ghost is 400 ms old at least.
            asked = lines[kind].asked.get(value)
            assert asked is not None and abs(t_ms - asked) <= 300, f"{name}: {value} was asked for at {asked}, not {t_ms}"
            checked += 1
    return checked


def haunt(place, seconds):
    """Replies that are late by one to twelve timeouts: libmodbus' own reads would be off by one from then on."""
    lines = open_lines(place)
    chance = random.Random(20260105)
    links = ""
    for kind, line in lines.items():
        for number, share in ((1, 0), (2, 0.2), (3, 0.4)):
            line.manners[number] = ill_slaves.late_by(
                lambda: (TIMEOUT_MS * chance.uniform(1, 12) + 200) / 1000, share, chance)
        links += link(kind, line.url(), *(unit(n, f"{kind}-{n}", "ill.csv", "200ms", place.folder) for n in (1, 2, 3)))
    centre = edge_of(place, links)
    until = harness.now_ms() + 1000 * seconds

    def over():
        return harness.now_ms() > until and {s[0] for s in centre.samples("e1") if s[1] > until and good(s)} >= {
            f"s.{kind}-1.a" for kind in lines}
    wait_until("the ghosts to have had their time", over, seconds + 60, 0.5)
    for kind, line in lines.items():
        # A reading is bad only when its unit does not answer twice, so that a short haunting may leave none.
        causes = {s[4] for s in centre.samples("e1") if s[0].startswith(f"s.{kind}-") and s[3] == "bad"}
        assert causes <= {"comm_timeout", "link_down", "bad_response"}, f"{kind}: {causes}"
        assert line.delayed, f"{kind} was never haunted"
    assert check_no_wrong_number(centre, lines, lambda kind, who: int(who)) > 10 * seconds
