"""Years of real data through everything: replay, instruments' clocks, edges, broker, centre, stores, alarms.

Two city-gas stations, six years by the hour, and an analyser shelter by the minute, each played row by row as fast as
it is read, on the registers of real devices, with the rows' own times. What every store then holds is compared with
the files, cell by cell, and the alarms with the episodes that were counted from the files.
"""

import collections
import contextlib
import csv
import datetime
import gzip
import json
import sqlite3
import struct
import urllib.parse

import pytest

import harness
from harness import ROOT, tcp_link
from stores import InfluxDb, VictoriaMetrics, ask

SHARED = ROOT.parent / "shared"
DATA, DEVICES = SHARED / "data", SHARED / "devices"

Column = collections.namedtuple("Column", "register name scale sum", defaults=(1, False))

CLOCK = "row_time,{function},{address},uint64,ABCDEFGH,1,0,ms,ro,stamp of the row,device\n"


class Series:
    """One CSV file played by one unit: an instrument of the register map named, with a clock beside it."""

    def __init__(self, link, unit, name, device, source, time, zone, *columns):
        self.link, self.unit, self.name, self.device = link, unit, name, device
        self.source, self.time, self.zone, self.columns = DATA / source, time, zone, columns

    def rows(self):
        with gzip.open(self.source, "rt", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def stamp(self, row):
        """UTC ms of a row."""
        text = row[self.time].replace(" ", "T") + self.zone
        return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)

    def unpack(self, folder):
        path = folder / self.source.name[:-3]
        if not path.exists():
            path.write_bytes(gzip.decompress(self.source.read_bytes()))
        return path

    def map(self, folder):
        """The device's register map with the row's time behind it."""
        path = folder / f"{self.device}-clock.csv"
        lines = (DEVICES / f"{self.device}.csv").read_text("utf-8").splitlines()
        registers = list(csv.DictReader(lines))
        function = registers[0]["function"]
        last = max((r for r in registers if int(r["address"]) < 120), key=lambda r: int(r["address"]))
        path.write_text(lines[0] + ",time\n" + "".join(line + ",\n" for line in lines[1:]) +
                        CLOCK.format(function=function, address=int(last["address"]) + 4), "utf-8")
        self.types = {r["name"]: r for r in registers}
        return path

    def expected(self, column):
        """[(stamp, value or None)] in the order of the file, to the register's resolution."""
        register = self.types[column.register]
        total, found = 0.0, []
        for row in self.rows():
            text = row[column.name]
            value = float(text) * column.scale if text else None
            if column.sum:
                total += value or 0
                value = total
            found.append((self.stamp(row), None if value is None else resolve(register, value)))
        return found

    def sim(self, folder):
        columns = ", ".join(f"{{register: {c.register}, column: {c.name}, scale: {c.scale!r}, sum: {str(c.sum).lower()}}}"
                            for c in self.columns)
        return (f'      - unit: {self.unit}\n        map: "{self.map(folder)}"\n'
                f'        replay: {{file: "{self.unpack(folder)}", time: {self.time}, zone: "{self.zone}", '
                f'columns: [{columns}]}}\n')

    def edge(self, folder):
        points = ", ".join(f"{{name: {c.register}}}" for c in self.columns)
        return (f'{{unit: {self.unit}, map: "{self.map(folder)}", name: {self.name}, interval: 1ms, '
                f'class: safety, points: [{points}]}}')


def resolve(register, value):
    """What the register can hold of a value, such that the same is the same: a float32, or its count of steps."""
    if register["type"] == "float32":
        return struct.unpack(">f", struct.pack(">f", value))[0]
    assert register["type"] == "bcd48"
    return round(value / float(register["scale"])) % 10**12  # a full counter begins at zero again


GAS = "gas-station-az/mardakan_hourly.csv.gz", "ts_local", "+04:00"
GAS_B = "gas-station-az/sumqayit_hourly.csv.gz", "ts_local", "+04:00"
SHELTER = "gecco2018-waterquality/gecco2018_train.csv.gz", "Time", "+02:00"

# The replay plan of the data's README: link, unit, its name, device, what it plays on which registers.
PLAN = [
    Series("a", 1, "mardakan", "FUXIN-GASFLOW", *GAS,
           Column("pressure", "p_kpa_abs"), Column("temperature", "t_c"), Column("flow_std", "q_1000m3_h", 1000),
           Column("vol_std_total", "q_1000m3_h", 1000, True), Column("vol_std_total_bcd", "q_1000m3_h", 1000, True)),
    Series("b", 1, "sumqayit", "YINUO-JSFLOW", *GAS_B,
           Column("pressure", "p_kpa_abs", 0.001), Column("temperature", "t_c"), Column("density", "density_kg_m3"),
           Column("flow_std", "q_1000m3_h", 1000), Column("vol_std_total", "q_1000m3_h", 1000, True)),
    Series("b", 2, "orifice", "KELLER-SERIES30", *GAS_B, Column("p1", "dp_kpa", 0.01)),
    Series("c", 1, "cm44x", "ENDRESSHAUSER-CM44X", *SHELTER,
           *(Column(f"ai{n}_value", name) for n, name in
             enumerate(("pH", "Redox", "Leit", "Trueb", "Tp", "Cl", "Cl_2", "Fm"), 1))),
]
EDGES = {"gas": "ab", "leachate": "c"}  # edge → its links
NOT_A_NUMBER = 2 * 256 + 7  # quality bad, cause not_a_number, as it travels

# The rules of the episodes that an alarm can express: p_kpa_abs < 200 and > 700, half a step of the source's
# resolution (1 Pa) beyond, in the unit of the register.
EPISODES = {"<200": ("low", 199.9995), ">700": ("high", 700.0005)}


def points():
    """(series, column, point id) of all that is played."""
    for edge, links in EDGES.items():
        for series in PLAN:
            if series.link in links:
                for column in series.columns:
                    yield series, column, f"{edge}.{series.name}.{column.register}"


def pressures():
    return [(series, column, point) for series, column, point in points() if column.name == "p_kpa_abs"]


def rules():
    text = "points:\n" + "".join(f"  - {{id: {point}, interval: 1h}}\n" for _, _, point in pressures()) + "alarms:\n"
    for _, column, point in pressures():
        for kind, at in EPISODES.values():
            text += (f"  - {{id: {point}.{kind}, point: {point}, kind: {kind}, ack: none, "
                     f"limits: [{{at: {at * column.scale!r}, priority: low}}]}}\n")
    return text


@pytest.fixture(scope="module")
def played(module_place):
    """Everything played to its end and stored; the centre and the stores."""
    missing = [path for path in (*(series.source for series in PLAN), DEVICES) if not path.exists()]
    if missing:
        pytest.skip(f"the real data are not here: {missing[0].relative_to(ROOT.parent)}")
    place = module_place
    folder = place.folder
    ports = {link: harness.free_port() for link in "abc"}
    sim = place.sim("links:\n" + "".join(
        f"  - listen: 127.0.0.1:{port}\n    units:\n" + "".join(s.sim(folder) for s in PLAN if s.link == link)
        for link, port in ports.items())).start()
    stores = [place.add(InfluxDb(folder)).start(), place.add(VictoriaMetrics(folder)).start()]
    # Its shards of a week would be five hundred small ones.
    ask(stores[0].port, "POST", "/query?" + urllib.parse.urlencode(
        {"q": "CREATE DATABASE chengmai WITH SHARD DURATION 52w"}))
    broker = place.broker().start()
    (folder / "rules.yaml").write_text(rules(), "utf-8")
    central = place.central(broker, rules=[folder / "rules.yaml"], stores=[store.yaml() for store in stores]).start()
    edges = [place.edge(broker, edge, "".join(
        tcp_link(link, ports[link], *(s.edge(folder) for s in PLAN if s.link == link), timeout="5s")
        for link in links), size="1GiB", more="drain: 120s\n").start() for edge, links in EDGES.items()]
    for series in PLAN:
        sim.wait_line(rf"unit {series.unit} has played all {len(series.rows())} rows", 900)
    for edge in edges:
        assert edge.stop(150) == 0
    central.wait_readers(*(store.name for store in stores), seconds=300)
    moved = {store.name: central.metric(f'chengmai_store_moved_stamps_total{{store="{store.name}"}}') for store in stores}
    assert central.stop() == 0
    return central, stores, moved


# ---- what the stores have, by their own query interfaces: point → [(t, value, q)] by time ----


def of_embedded(db):
    return lambda point: db.execute(
        "SELECT s.t_ms, s.value, s.q & 65535 FROM samples s JOIN points p ON p.id = s.point WHERE p.point = ? "
        "ORDER BY s.t_ms, s.tie", (point,)).fetchall()


def of_influxdb(store):
    def read(point):
        series = store.query(f"SELECT value, q FROM chengmai WHERE point = '{point}'")
        return [tuple(row) for row in series[0]["values"]]
    return read


def of_victoriametrics(store):
    def read(point):
        values, = store.series(f'chengmai_value{{point="{point}"}}').values()
        qualities, = store.series(f'chengmai_q{{point="{point}"}}').values()
        values = dict(values)
        return [(t_ms, values.get(t_ms), int(q)) for t_ms, q in qualities]
    return read


def apart(rows):
    """Of two with one stamp the later one moves to the next free millisecond, as stores outside want it."""
    found = []
    for t_ms, value in rows:
        found.append((max(t_ms, found[-1][0] + 1) if found else t_ms, value))
    return found


def compare(read, outside):
    """(equal values, empty cells); the first difference fails."""
    equal = empty = 0
    for series, column, point in points():
        expected = sorted(series.expected(column), key=lambda row: row[0])
        expected = apart(expected) if outside else expected
        got = read(point)
        assert len(got) == len(expected), f"{point}: {len(got)} samples of {len(expected)} rows"
        register = series.types[column.register]
        for (t_ms, value), (got_ms, got_value, q) in zip(expected, got):
            assert got_ms == t_ms, f"{point}: {got_ms}, expected {t_ms}"
            if value is None:
                assert (got_value, q) == (None, NOT_A_NUMBER), f"{point} at {t_ms}: {got_value}, {q}"
                empty += 1
            else:
                assert q == 0 and resolve(register, got_value) == value, \
                    f"{point} at {t_ms}: {got_value} with q {q}, expected {value}"
                equal += 1
    return equal, empty


@pytest.fixture
def say(capsys):
    """Figures belong into the report of a run that passes, too."""
    def say(text):
        with capsys.disabled():
            print(f"\nreal data: {text}")
    return say


@pytest.mark.parametrize("name", ["embedded", "influxdb", "victoriametrics"])
def test_every_value_arrives_at_its_own_time(played, say, name):
    central, stores, moved = played
    if name == "embedded":
        with contextlib.closing(sqlite3.connect(f"file:{central.data}/history.db?mode=ro", uri=True)) as db:
            count, = db.execute("SELECT count(*) FROM samples").fetchone()
            equal, empty = compare(of_embedded(db), False)
    else:
        store = next(store for store in stores if store.name == name)
        count = store.count()
        equal, empty = compare({"influxdb": of_influxdb, "victoriametrics": of_victoriametrics}[name](store), True)
        twice = sum(len(rows) - len({t for t, _ in rows}) for rows in (s.expected(c) for s, c, _ in points()))
        assert moved[name] == twice
    assert count == equal + empty
    say(f"{name}: {equal} values equal, {empty} empty cells not_a_number, {count:.0f} samples in all")


# ---- alarms ----


def episodes(series, column):
    """(rule's kind, onset, first row behind it or None) that the data's README counted."""
    times = [series.stamp(row) for row in series.rows()]
    path = next(series.source.parent.glob(f"expected_episodes_{series.name}.csv"))
    for row in csv.DictReader(path.open(encoding="utf-8")):
        if row["signal"] == column.name and row["rule"] in EPISODES:
            first = series.stamp({series.time: row["start"]})
            last = times.index(first) + int(row["samples"]) - 1
            yield EPISODES[row["rule"]][0], first, times[last + 1] if last + 1 < len(times) else None


def test_the_episodes_were_raised_as_alarms_of_their_own_time(played, say):
    central, _, _ = played
    with contextlib.closing(sqlite3.connect(f"file:{central.data}/events.db?mode=ro", uri=True)) as db:
        events = [json.loads(payload) for payload, in db.execute(
            "SELECT payload FROM transitions WHERE event IN ('raise', 'return') AND alarm NOT LIKE '%#instrument' ORDER BY id")]
    expected = {(f"{point}.{kind}", first, behind) for series, column, point in pressures()
                for kind, first, behind in episodes(series, column)}
    found, open_ = set(), {}
    for event in events:
        assert event["historical"], event
        if event["event"] == "raise":
            assert event["alarm"] not in open_, event
            open_[event["alarm"]] = stamp(event["onset"])
        else:
            found.add((event["alarm"], open_.pop(event["alarm"]), stamp(event["source"])))
    found |= {(alarm, onset, None) for alarm, onset in open_.items()}
    misses, extra = expected - found, found - expected
    say(f"pressure episodes: {len(expected)} expected, {len(found)} raised, misses {len(misses)}, extra {len(extra)}")
    assert not misses and not extra, f"misses {sorted(misses)}, extra {sorted(extra)}"
    assert sum(event["event"] == "raise" for event in events) == len(expected)


def stamp(text):
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
