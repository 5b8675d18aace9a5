"""Years of real data through everything: replay, instruments' clocks, edges, broker, centre, stores, alarms."""

import collections
import csv
import datetime
import gzip
import json
import sqlite3
import struct

import pytest

import harness
from harness import ROOT, tcp_link, wait_until

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


@pytest.fixture(scope="module")
def replay(module_place):
    """Everything played to its end, and stopped in order."""
    missing = [str(s.source) for s in PLAN if not s.source.exists()] + [d for d in [str(DEVICES)] if not DEVICES.exists()]
    if missing:
        pytest.skip(f"the real data are not here: {missing[0]}")
    place = module_place
    folder = place.folder
    ports = {link: harness.free_port() for link in "abc"}
    place.sim("links:\n" + "".join(
        f"  - listen: 127.0.0.1:{ports[link]}\n    units:\n" + "".join(s.sim(folder) for s in PLAN if s.link == link)
        for link in "abc"))
    sim = place.children[-1].start()
    broker = place.broker().start()
    central = place.central(broker).start()
    edges = [place.edge(broker, edge, "".join(
        tcp_link(link, ports[link], *(s.edge(folder) for s in PLAN if s.link == link), timeout="2s")
        for link in links), size="1GiB", more="drain: 120s\n") for edge, links in EDGES.items()]
    for edge in edges:
        edge.start()
    import time
    t0 = time.time()
    for series in PLAN:
        sim.wait_line(rf"unit {series.unit} has played all {len(series.rows())} rows", 900)
        print(series.name, time.time() - t0)
    for edge in edges:
        assert edge.stop(150) == 0
    print("drained", time.time() - t0)
    central.wait_readers(300)
    print("read", time.time() - t0)
    assert central.stop() == 0
    broker.stop()
    sim.stop()
    return central


def stored(central):
    """point → [(t, value, q)] in the order of the journal."""
    found = collections.defaultdict(list)
    with sqlite3.connect(f"file:{central.data}/history.db?mode=ro", uri=True) as db:
        names = dict(db.execute("SELECT id, point FROM points"))
        for point, t_ms, value, q in db.execute("SELECT point, t_ms, value, q FROM samples ORDER BY point, t_ms, tie"):
            found[names[point]].append((t_ms, value, q))
    return found


def compare(series, edge, samples):
    """Counts of equal values and of cells that were empty; every difference fails."""
    equal = empty = 0
    for column in series.columns:
        point = f"{edge}.{series.name}.{column.register}"
        expected = sorted(series.expected(column), key=lambda row: row[0])
        got = samples[point]
        assert len(got) == len(expected), f"{point}: {len(got)} samples of {len(expected)} rows"
        for (t_ms, value), (got_ms, got_value, q) in zip(expected, got):
            assert got_ms == t_ms, f"{point}: {got_ms}, expected {t_ms}"
            if value is None:
                assert q == 2 * 256 + 7 and got_value is None, f"{point} at {t_ms}: {got_value}, {q}"
                empty += 1
            else:
                assert q == 0 and resolve(series.types[column.register], got_value) == value, f"{point} at {t_ms}: {got_value}, expected {value}"
                equal += 1
    return equal, empty


def test_every_value_arrives_at_its_own_time(replay):
    samples = stored(replay)
    for edge, links in EDGES.items():
        for series in PLAN:
            if series.link in links:
                print(series.name, compare(series, edge, samples))
