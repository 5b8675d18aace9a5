"""Readings judged at the edge, held back and sent on a metered line: real processes, and the books in the end."""

import json
import re

import pytest

import harness
import slaves
from county import Books
from harness import CONFIG, run, tcp_link, topic, wait_until
from slaves import Slave, words

# An analyser stands still, a transmitter's wire is broken, a membrane shows pressure and no flow.
INCIDENTS = """scenario:
  - {at: 1s, for: 1h, link: 0, unit: 2, kind: freeze, variable: cod}
  - {at: 1s, for: 1h, link: 0, unit: 1, kind: set, variable: temp, amount: -30}
  - {at: 1s, for: 1h, link: 0, unit: 1, kind: set, variable: tmp, amount: 90}
  - {at: 1s, for: 1h, link: 0, unit: 1, kind: set, variable: flux, amount: 0}
"""

SIGNALS = """compress: zstd
signals:
  - {points: [effluent.cod, effluent.nh3n], flat_line: {for: 1s, polls: 8}}
  - {points: plc.temp, loop: [0, 50]}
  - {points: [plc.level, plc.bio_level, plc.mlss], deadband: 0.5, heartbeat: 2s}
  - {points: [plc.pump, plc.blower], deadband: 0, heartbeat: 1h}
marks:
  - cause: cross_check
    points: plc.flux
    when: [{point: plc.tmp, op: ">", value: 20}, {point: plc.flux, value: 0}]
    for: 1s
  - {cause: maintenance, points: [plc.rain], daily: "00:00-24:00"}
"""


class Line:
    """The leachate line, one edge, the centre; and the books when all has stopped."""

    def __init__(self, place):
        port = harness.free_port()
        maps = [CONFIG / "maps" / f"leachate-{name}.csv" for name in ("plc", "analyser")]
        self.sim = place.sim(
            f"seed: 5\nlinks:\n  - listen: 127.0.0.1:{port}\n    units:\n" +
            "".join(f'      - {{unit: {n}, plant: leachate, map: "{map}"}}\n' for n, map in enumerate(maps, 1)) + INCIDENTS)
        self.broker = place.broker()
        self.central = place.central(self.broker)
        units = [f'{{unit: {n}, map: "{map}", name: {name}, interval: 100ms, class: {kind}}}'
                 for n, map, name, kind in ((1, maps[0], "plc", "trend"), (2, maps[1], "effluent", "compliance"))]
        self.edge = place.edge(self.broker, "leachate", tcp_link("line", port, *units), more="drain: 60s\n" + SIGNALS)
        self.edges = {"leachate": self.edge}
        for child in (self.sim, self.broker, self.central, self.edge):
            child.start()

    def latest(self, point):
        for latest in (self.central.api.try_get("/api/v1/latest") or {}).get("values", []):
            if latest["point"] == f"leachate.{point}":
                return latest
        return {}

    def stats(self):
        """What the edge said of itself last."""
        edges = (self.central.api.try_get("/api/v1/edges") or {}).get("edges", [])
        return next((e.get("stats") or {} for e in edges if e["edge"] == "leachate"), {})

    def stop(self):
        assert self.edge.stop(120) == 0
        self.central.wait_readers()
        assert self.central.stop() == 0
        self.broker.stop()
        self.sim.stop()


@pytest.fixture
def line(place):
    return Line(place)


def doubts(line, point):
    latest = line.latest(point)
    return latest.get("quality"), latest.get("cause")


def test_incidents_are_doubted_for_the_right_cause_and_what_is_held_balances(line):
    expected = {"effluent.cod": ("uncertain", "flat_line"), "plc.temp": ("bad", "sensor_fault"),
                "plc.flux": ("uncertain", "cross_check"), "plc.rain": ("uncertain", "maintenance")}
    for point, wanted in expected.items():
        wait_until(lambda: f"{point} to be {wanted}: {line.latest(point)}", lambda: doubts(line, point) == wanted, 30)
    assert doubts(line, "effluent.nh3n")[0] == "good", "what moves is no flat line"
    assert line.latest("effluent.cod")["value"] is not None, "what is doubted keeps its value"

    line.edge.kill()  # what was held since the last sample is gone with it, in the books as well
    line.edge.start()
    wait_until("samples of the second run", lambda: doubts(line, "plc.flux") == expected["plc.flux"] and
               (line.central.metric("chengmai_samples_stored_total") or 0) > 1000, 60)
    wait_until(lambda: f"packing to be worth it: {line.stats()}",
               lambda: line.stats().get("bytes_packed_away", 0) > line.stats().get("bytes_sent", 0) / 2)

    line.stop()
    books = Books(line)
    assert books.missing == 0, books
    assert books.held > 50, books
    assert books.read == books.stored + books.held + books.ledger
    # Five points of nineteen report by exception: the others are all stored.
    assert books.held < 0.5 * books.read, books


def hand_fed(place, more, units, rows):
    """An edge that reads a foreign slave, and a centre made by hand."""
    slave = place.add(Slave())
    for number, (address, value) in rows.items():
        slave.unit(1).put(3, address, words(value, "uint16", "AB"))
    slave.start()
    (place.folder / "map.csv").write_text(slaves.HEADER + "".join(
        f"{name},3,{address},uint16,AB,1,0,x,ro,\n" for name, (address, _) in rows.items()), "utf-8")
    broker = place.broker()
    broker.start()
    centre = place.centre_by_hand(broker)
    edge = place.edge(broker, "e1", tcp_link("line", slave.port, *units), more=more)
    edge.start()
    return slave, centre, edge


def test_raw_words_travel_beside_the_values(place):
    _, centre, _ = hand_fed(place, "", ["{unit: 1, map: map.csv, name: u, interval: 100ms, raw: true}"],
                            {"a": (0, 0x1234), "b": (1, 7)})
    sample = centre.wait_sample("e1", "e1.u.a", lambda s: s[3] == "good")
    record = sample[5]
    assert len(record["raw"]) == len(record["id"])
    good = [raw for raw, q in zip(record["raw"], record.get("q", [0] * len(record["id"]))) if q == 0]
    assert set(good) == {"1234", "0007"}


def status_samples(edge):
    return json.loads(run("chengmai", "status", "--json", edge.config).stdout)["edge"]["samples"]


def test_held_readings_are_counted_with_the_sample_that_follows(place):
    slave, centre, edge = hand_fed(
        place, "signals: [{points: u.a, deadband: 5, heartbeat: 1h}]\n",
        ["{unit: 1, map: map.csv, name: u, interval: 50ms}"], {"a": (0, 100), "b": (1, 7)})
    centre.wait_sample("e1", "e1.u.a", lambda s: s[2] == 100)
    wait_until("thirty readings of the other point", lambda: len(centre.samples("e1", "e1.u.b")) > 30)
    assert len(centre.samples("e1", "e1.u.a")) == 1
    slave.unit(1).put(3, 0, [105])  # within the deadband
    seen = len(centre.samples("e1", "e1.u.b"))
    wait_until("more readings", lambda: len(centre.samples("e1", "e1.u.b")) > seen + 10)
    slave.unit(1).put(3, 0, [106])  # beyond it
    centre.wait_sample("e1", "e1.u.a", lambda s: s[2] == 106)
    told = status_samples(edge)
    assert 30 < told["held"] < told["recorded"] / 2
    slave.silence(1)  # another quality is always sent
    centre.wait_sample("e1", "e1.u.a", lambda s: s[3] == "bad")
    assert edge.stop() == 0
    totals = {"e1.u.a": 0, "e1.u.b": 0}
    for name in totals:
        for record in {id(s[5]): s[5] for s in centre.samples("e1", name)}.values():
            birth = centre.births("e1")[record["birth"]]
            for at, number in enumerate(record["id"]):
                if birth["points"][number]["id"] == name:
                    totals[name] += 1 + record.get("held", [0] * len(record["id"]))[at]
    assert totals["e1.u.a"] == totals["e1.u.b"], "both were read as often"
    last = max((r for _, _, r in centre.records if r["kind"] == "data"), key=lambda r: r["seq"])
    assert last["total"] == sum(totals.values())


def test_operators_mark_by_a_file(place):
    _, centre, edge = hand_fed(place, "marks_file: marks.yaml\n",
                               ["{unit: 1, map: map.csv, name: u, interval: 100ms}"], {"a": (0, 1), "b": (1, 7)})
    centre.wait_sample("e1", "e1.u.a", lambda s: s[3] == "good")
    marks = place.folder / "marks.yaml"
    marks.write_text('marks:\n  - {cause: calibration, quality: bad, points: u.a, daily: "00:00-24:00"}\n', "utf-8")
    centre.wait_sample("e1", "e1.u.a", lambda s: s[3:5] == ("bad", "calibration") and s[2] == 1)
    assert all(s[3] != "bad" or s[4] != "calibration" for s in centre.samples("e1", "e1.u.b"))
    since = edge.mark()
    marks.write_text("marks:\n  - {cause: calibration, points: u.zz, daily: 00:00-24:00}\n", "utf-8")
    edge.wait_line(r"marks\.yaml:2:34: 'u\.zz' is no point of this edge; the marks before this change stay", since=since)
    marks.unlink()
    seen = len(centre.samples("e1", "e1.u.a"))
    centre.wait_sample("e1", "e1.u.a", lambda s: s[3] == "good" and s in centre.samples("e1", "e1.u.a")[seen:])


def test_on_a_metered_line_safety_goes_first_and_the_rest_waits(place):
    _, centre, edge = hand_fed(
        place, "daily_budget: 1KiB\n",
        ["{unit: 1, map: map.csv, name: u, interval: 100ms, points: [{name: a, class: safety}, b]}"],
        {"a": (0, 1), "b": (1, 7)})
    wait_until("safety samples", lambda: len(centre.samples("e1", "e1.u.a")) > 30)
    stats = [m.json() for m in centre.received(topic("e1", "stats"))]
    wait_until("the budget to be told", lambda: any(m.json()["budget_waits"]
                                                    for m in centre.received(topic("e1", "stats"))))
    assert not centre.samples("e1", "e1.u.b"), "trend waits"
    assert stats[-1]["bytes_sent"] > 0
    state = wait_until("its state", lambda: centre.states.get("e1"))
    assert state["last"]["t"] > 0, "it is journaled all the same"


@pytest.mark.parametrize("text, told", [
    ("signals: [{points: u.zz, range: [0, 1]}]\n", r"e1\.yaml:\d+:\d+: 'u\.zz' is no point of this edge"),
    ("signals: [{points: u.a, deadband: 1}]\n", r"'u\.a' is a safety or compliance point"),
    ("marks: [{cause: cross_check, points: u.a}]\n", "a cross_check needs `when`"),
    ("signals: [{points: u.a, flatline: {for: 1s}}]\n", "did you mean 'flat_line'"),
])
def test_what_cannot_be_is_refused_at_the_start(place, text, told):
    (place.folder / "map.csv").write_text(slaves.HEADER + "a,3,0,uint16,AB,1,0,x,ro,\n", "utf-8")
    config = place.folder / "e1.yaml"
    config.write_text('edge: e1\nsite: e1\nbroker: {url: "mqtt://127.0.0.1:1"}\n' + text + "links:\n" + tcp_link(
        "line", 1502, "{unit: 1, map: map.csv, name: u, class: safety}"), "utf-8")
    answer = harness.run("chengmai-edge", "--config", config, "--check")
    assert answer.returncode == 2
    assert re.search(told, answer.stderr), answer.stderr
