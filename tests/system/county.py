"""A whole small county: broker, simulator, two edges and the centre, killed at will, and its books."""

import random
import re
import subprocess

import harness
from harness import CONFIG, Late, tcp_link, wait_until

EDGES = {"leachate": ("leachate-plc.csv", "leachate-analyser.csv"), "gas": ("gas-rtu.csv",)}
CLASSES = {"leachate-plc.csv": "trend", "leachate-analyser.csv": "compliance", "gas-rtu.csv": "safety"}


class County:
    def __init__(self, place, interval="200ms", size="64MiB"):
        self.place = place
        ports = {name: harness.free_port() for name in EDGES}
        sim = "seed: 3\nlinks:\n"
        for edge, maps in EDGES.items():
            sim += f"  - listen: 127.0.0.1:{ports[edge]}\n    units:\n"
            for number, name in enumerate(maps, 1):
                sim += f'      - {{unit: {number}, plant: {edge}, map: "{CONFIG}/maps/{name}"}}\n'
        self.sim = place.sim(sim)
        self.broker = place.broker()
        self.central = place.central(self.broker, rules=[CONFIG / "rules" / "demo.yaml"])
        self.edges = {}
        for edge, maps in EDGES.items():
            units = [f'{{unit: {n}, map: "{CONFIG}/maps/{name}", name: {name.split("-")[1][:-4]}, '
                     f'interval: {interval}, class: {CLASSES[name]}}}' for n, name in enumerate(maps, 1)]
            self.edges[edge] = place.edge(self.broker, edge, tcp_link("line", ports[edge], *units), size=size,
                                          more="drain: 60s\n")

    def start(self):
        for child in (self.sim, self.broker, self.central, *self.edges.values()):
            child.start()
        return self

    def stored(self):
        return self.central.metric("chengmai_samples_stored_total") or 0

    def wait_stored(self, more=1, seconds=60):
        """Until so many more samples are in the store than now."""
        wait_until("the centre to answer", lambda: self.central.metric("chengmai_samples_stored_total") is not None)
        wanted = self.stored() + more
        wait_until(lambda: f"{wanted:g} stored samples; there are {self.stored():g}",
                   lambda: self.stored() >= wanted, seconds, 0.05)

    def wait_appended(self, edge, seconds=30):
        """Until the edge has written more to its journal than now."""
        def written():  # segments have their full size from the beginning
            return max((path.stat().st_mtime_ns for path in edge.journal.rglob("*") if path.is_file()), default=0)
        before = written()
        wait_until(f"{edge.name} to journal something", lambda: written() != before, seconds)

    def finish(self):
        """Stops reading, waits for all receipts and all readers, stops everything; the books."""
        for edge in self.edges.values():
            edge.signal(15)
        for edge in self.edges.values():
            status = edge.wait(120)
            if status != 0:
                raise Late(f"{edge.name} ended with {status}")
        self.central.wait_readers()
        gaps = self.central.api.get("/api/v1/gaps")["gaps"]
        edges = {e["edge"]: e for e in self.central.api.get("/api/v1/edges")["edges"]}
        if self.central.stop() != 0:
            raise Late("the centre did not end cleanly")
        self.broker.stop()
        self.sim.stop()
        return Books(self), gaps, edges


class Books:
    """What `chengmai books` says, and what it says it from."""

    LINE = re.compile(r"points read (\d+), stored (\d+), held (\d+), ledger (\d+), missing (-?\d+), "
                      r"alarms raised (\d+)")

    def __init__(self, county):
        self.journals = [edge.journal for edge in county.edges.values()]
        self.answer = harness.run("chengmai", "books", "--central", county.central.data, *self.journals, timeout=120)
        found = self.LINE.search(self.answer.stdout)
        if not found:
            raise Late(f"no books: {self.answer.stdout} {self.answer.stderr}")
        self.read, self.stored, self.held, self.ledger, self.missing, self.raised = map(int, found.groups())

    def __repr__(self):
        return self.answer.stdout.strip()


def dump(folder):
    """All records of a journal, through the tool that ships."""
    out = subprocess.run([harness.program("chengmai"), "journal", "dump", str(folder)], capture_output=True, text=True,
                         timeout=120, check=False)
    assert out.returncode == 0, out.stderr
    return out.stdout.splitlines()


def killed(child):
    return child.starts - 1


def rounds(county, times, both=True):
    """Kills every edge, the broker and the centre in turn, and in every fifth round all at once, until each was
    killed so many times. Between two kills something can be seen to have gone on, so that each is hit in the
    middle of its work; which thing that is, is left to chance. `both`: all edges in each round, or one."""
    chance = random.Random(20260105)
    edges = list(county.edges.values())
    everything = [*edges, county.broker, county.central]
    number = 0
    while min(map(killed, everything)) < times:
        number += 1
        if number % 5 == 4:
            for child in everything:
                child.signal(9)
            for child in everything:
                child.wait()
            chance.shuffle(everything)
            for child in everything:
                child.start()
            county.wait_stored(1, 90)
            continue
        victims = [*(edges if both else [edges[number % len(edges)]]), county.broker, county.central]
        chance.shuffle(victims)
        for child in victims:
            child.kill()
            if child is not county.central and chance.random() < 0.5:
                for edge in edges:
                    if edge is not child:
                        county.wait_appended(edge)
            child.start()
            if chance.random() < 0.5:
                county.wait_stored(1, 90)


class After:
    """What a county leaves: its books, its gap ledger, its edges as the centre saw them last."""

    def __init__(self, county):
        self.county = county
        children = (*county.edges.values(), county.broker, county.central)
        self.kills = [killed(child) for child in children]
        self.books, self.gaps, self.edges = county.finish()


def go_through_kills(place, times, both=True):
    county = County(place).start()
    county.wait_stored(50)
    rounds(county, times, both)
    county.wait_stored(50)
    return After(county)
