"""The operator's tool on the spot: chengmai status, read and probe, against pymodbus and our simulator."""

import contextlib
import json
import re
import socket
import subprocess

import pytest

import harness
import slaves
from harness import run, tcp_link, wait_until
from slaves import Slave, words

MAP = slaves.HEADER + ("cod,3,0,float32,ABCD,1,0,mg/L,ro,COD\nlevel,3,2,uint16,AB,0.01,0,m,ro,level 液位\n"
                       "pump,1,5,bit,,,,,ro,pump\nenergy,4,10,uint64,GHEFCDAB,1,0,kWh,ro,energy\n"
                       "absent,3,900,uint16,AB,1,0,,ro,not there\n")

SIM = """
seed: 7
links:
  - listen: 127.0.0.1:@PORT@
    units:
      - {unit: 1, plant: leachate, map: "@MAPS@/leachate-plc.csv"}
      - {unit: 2, plant: leachate, map: "@MAPS@/leachate-analyser.csv"}
scenario:
  - {at: 4s, for: 10h, link: 0, unit: 2, kind: dead}
"""


def fill_unit(unit):
    unit.put(3, 0, words(61.8, "float32", "ABCD") + [742])
    unit.put(1, 5, [True])
    unit.put(4, 10, words(2**53 + 1, "uint64", "GHEFCDAB"))


@pytest.fixture(scope="module")
def spot(module_place):
    """A device, and the configuration of an edge that reads it; the edge is started by who needs it."""
    place = module_place
    slave = Slave()
    fill_unit(slave.unit(1))
    place.add(slave).start()
    map_csv = place.folder / "map.csv"
    map_csv.write_text(MAP, "utf-8")
    broker = place.broker().start()
    centre = place.centre_by_hand(broker)
    edge = place.edge(broker, "e1", tcp_link(
        "plc", slave.port, f'{{unit: 1, map: "{map_csv}", name: u, interval: 200ms}}',
        f'{{unit: 9, map: "{map_csv}", name: dead, interval: 200ms, points: [cod]}}'), site="site", more="drain: 1s\n")
    spot = type("Spot", (), {})()
    spot.place, spot.slave, spot.edge, spot.broker, spot.centre = place, slave, edge, broker, centre
    return spot


def readings(spot, *points):
    """The tool's exit code, and its readings without what differs from call to call."""
    done = run("chengmai", "read", "--json", spot.edge.config, *points)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for reading in found:
        del reading["time"], reading["took_ms"]
    return done.returncode, found


def status(spot):
    done = run("chengmai", "status", "--json", spot.edge.config)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


POINTS = [f"site.u.{name}" for name in ("cod", "level", "pump", "energy")]


def test_a_reading_is_the_same_with_an_edge_and_without(spot):
    assert run("chengmai", "status", spot.edge.config).returncode == 2
    code, alone = readings(spot, *POINTS)
    assert code == 0
    assert [reading["value"] for reading in alone] == [61.8, 7.42, 1, str(2**53 + 1)]
    assert [reading["raw"] for reading in alone] == ["4277 3333", "02e6", "01", "0001 0000 0000 0020"]
    assert alone[0]["quality"] == "good" and alone[0]["unit"] == "mg/L"

    spot.edge.start()
    assert readings(spot, *POINTS) == (0, alone)
    text = run("chengmai", "read", spot.edge.config, *POINTS)
    assert "through the running edge" in text.stdout and "61.8" in text.stdout


def test_a_reading_that_is_none_says_why(spot):
    if not spot.edge.alive():
        spot.edge.start()
    for ask_twice in range(2):
        code, (refused,) = readings(spot, "site.u.absent")
        assert (code, refused["cause"], refused["value"]) == (1, "modbus_exception", None)
        assert "exception 2" in refused["trouble"]
        code, (silent,) = readings(spot, "site.dead.cod")
        assert (code, silent["cause"]) == (1, "comm_timeout")
        if not ask_twice:
            spot.edge.stop()
    spot.edge.start()
    done = run("chengmai", "read", spot.edge.config, "site.u.none")
    assert done.returncode == 2 and "no point 'site.u.none'" in done.stderr


def test_a_reading_changes_nothing_that_is_recorded(spot):
    """Beside a hundred readings, the polls go on, none takes another's words, and nobody becomes suspect."""
    if not spot.edge.alive():
        spot.edge.start()
    before = status(spot)["links"][0]["units"][0]
    recorded = len(spot.centre.samples("e1", "site.u.cod"))
    for _ in range(20):
        code, found = readings(spot, *POINTS, "site.u.absent")
        assert code == 1 and len(found) == 5
    after = status(spot)["links"][0]["units"][0]
    assert after["state"] == "ok" and after["replies"] > before["replies"]
    assert [after[what] - before[what] for what in ("timeouts", "lost", "bad_replies")] == [0, 0, 0]

    def samples():
        return spot.centre.samples("e1", "site.u.cod")[recorded:]
    wait_until("what was polled meanwhile", lambda: len(samples()) > 3)
    assert {(value, quality) for _, _, value, quality, _, _ in samples()} == {(61.8, "good")}


def test_status_tells_what_the_edge_knows(spot):
    if not spot.edge.alive():
        spot.edge.start()
    wait_until("nothing left to send", lambda: status(spot)["edge"]["uplink"]["sending"])
    found = status(spot)
    edge, (link,) = found["edge"], found["links"]
    assert (edge["edge"], edge["site"], edge["points"]) == ("e1", "site", 6)
    assert edge["version"].startswith("0.1+")
    assert edge["journal"]["size"] == 64 << 20 and 0 < edge["journal"]["bytes_left"] <= 64 << 20
    assert edge["samples"]["recorded"] > 0 and edge["samples"]["refused"] == 0
    assert edge["uplink"]["connected"] and edge["uplink"]["centre_fresh"]
    assert link["up"] and [unit["name"] for unit in link["units"]] == ["u", "dead"]
    assert link["units"][0]["replies"] > 0 and re.fullmatch(r"[0-9a-f]{16}", link["units"][0]["map"])
    wait_until("the silent unit to be down", lambda: status(spot)["links"][0]["units"][1]["state"] == "down")

    text = run("chengmai", "status", spot.edge.config)
    assert text.returncode == 0
    for words_ in ("e1, site site", "sending 正在上传", "link 链路 plc", "down 失联 (comm_timeout)"):
        assert words_ in text.stdout


def test_what_waits_for_a_receipt_is_told(spot):
    if not spot.edge.alive():
        spot.edge.start()
    wait_until("sending", lambda: status(spot)["edge"]["uplink"]["sending"])
    spot.centre.receipting = False
    wait_until("a backlog", lambda: (lambda up: up["backlog"] > 3 and up["lag_s"] > 1 and up["oldest"])(
        status(spot)["edge"]["uplink"]))
    spot.centre.receipting = True
    wait_until("it to be over", lambda: (lambda up: up["backlog"] < 3 and up["lag_s"] < 3)(
        status(spot)["edge"]["uplink"]), 60)


def control(spot, data, shut=False):
    """What the socket answers to these bytes, until it has said a line or hung up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10 * harness.PATIENCE)
        client.connect(f"{spot.edge.journal}.sock")
        client.sendall(data)
        if shut:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while not answer.endswith(b"\n") and (part := client.recv(65536)):
                answer += part
        return answer


def test_the_socket_takes_what_comes(spot):
    if not spot.edge.alive():
        spot.edge.start()
    for data in (b"\n", b"{}\n", b"[1]\n", b'{"ask":"stop"}\n', b"\xff\xfe\x00\n", b'{"ask":"link","index":-1}\n',
                 b'{"ask":"link"}\n', b'{"ask":"read"}\n', b'{"ask":"read","point":7}\n', b"GET / HTTP/1.1\r\n"):
        assert "error" in json.loads(control(spot, data)), data
    assert control(spot, b"x" * 5000) == b""
    assert control(spot, b"half a line") == b""  # within a second
    assert json.loads(control(spot, b'{"ask":"read","point":"site.u.cod"}\n', shut=True))["value"] == 61.8
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for client in crowd:
        client.connect(f"{spot.edge.journal}.sock")
    assert json.loads(control(spot, b'{"ask":"edge"}\n'))["edge"] == "e1"
    for client in crowd:
        client.close()
    assert status(spot)["edge"]["edge"] == "e1"


def test_one_edge_does_not_take_anothers_socket(spot):
    if not spot.edge.alive():
        spot.edge.start()
    other = spot.place.edge(spot.broker, "e2", tcp_link(
        "plc", spot.slave.port, f'{{unit: 1, map: "{spot.place.folder}/map.csv", name: u}}'),
        more=f'drain: 1s\ncontrol: "{spot.edge.journal}.sock"\n').start()
    assert "another process listens" in other.log()
    assert status(spot)["edge"]["edge"] == "e1"
    assert other.stop() == 0
    assert status(spot)["edge"]["edge"] == "e1"
    assert spot.edge.stop() == 0
    assert not (spot.place.folder / "e1-journal.sock").exists()


# ---- probe --------------------------------------------------------------------------------------


def probe(port, *options):
    done = run("chengmai", "probe", "--json", "--timeout", "200ms", *options, f"tcp://127.0.0.1:{port}")
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("type_, order, value, scale, shown", [
    ("float32", "CDAB", 21.4, "1", "21.4"), ("float32", "DCBA", -3.75, "1", "-3.75"),
    ("float64", "GHEFCDAB", 1013.25, "1", "1013.25"), ("uint16", "BA", 2140, "0.01", "21.40"),
    ("int16", "AB", -57, "0.1", "-5.7"), ("uint32", "CDAB", 12345678, "1", "12345678"),
    ("uint32", "BADC", 12345678, "0.1", "1234567.8"), ("float32", "ABCD", 21.43, "1", "21.4")])
def test_what_the_display_shows_is_found(place, type_, order, value, scale, shown):
    slave = place.add(Slave())
    unit = slave.unit(5)
    unit.put(4, 100, [40000 + 811 * i for i in range(20)])
    unit.put(4, 107, words(value, type_, order))
    slave.start()
    code, found = probe(slave.port, "--units", "5", "--function", "4", "--start", "100", "--count", "20",
                        "--expect", shown)
    best = found["guesses"][0]
    assert code == 0 and best["fits"]
    assert (best["unit"], best["address"], best["type"], best["word_order"]) == (5, 107, type_, order)
    assert best["map"] == f"value,4,107,{type_},{order},{scale},0,,ro,"

    # The line reads it.
    (place.folder / "map.csv").write_text(slaves.HEADER + best["map"] + "\n", "utf-8")
    edge = harness.Edge(place.folder, place.broker(), "e1", tcp_link(
        "l", slave.port, f'{{unit: 5, map: "{place.folder}/map.csv", name: u}}'))
    done = run("chengmai", "read", "--json", edge.config, "e1.u.value")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["value"] == pytest.approx(float(scale) * value)


def test_units_are_found_with_one_request_each(place):
    slave = place.add(Slave())
    for number in (2, 5):
        slave.unit(number).put(3, 0, list(range(10)))
    slave.unit(7).put(3, 0, [1, 2, 3])  # refuses what is beyond
    slave.unit(8)                       # has nothing at all
    slave.start()
    code, found = probe(slave.port, "--units", "1-9")
    assert code == 0
    assert [(unit["unit"], len(unit["registers"])) for unit in found["units"]] == [(2, 10), (5, 10), (7, 3), (8, 0)]
    assert [unit["requests"] for unit in found["units"][:2]] == [1, 1]
    assert "exception 2" in found["units"][3]["trouble"]
    assert {function for unit in slave.units.values() for function, _, _ in unit.asked} == {3}

    code, found = probe(slave.port, "--units", "9")
    assert (code, found["units"]) == (1, [])
    code, found = probe(slave.port, "--units", "2", "--expect", "3e200")
    assert code == 1 and not found["guesses"][0]["fits"]


def test_the_table_shows_every_decoding(place):
    slave = place.add(Slave())
    slave.unit(1).put(3, 0, words(21.4, "float32", "ABCD") + [0x1234, 0])
    slave.unit(1).put(2, 3, [True, False])
    slave.start()
    done = run("chengmai", "probe", "--units", "1", "--count", "4", f"tcp://127.0.0.1:{slave.port}")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["0", "ABCD", "32", "41ab", "3333", "1101738803", "1101738803", "21.4", "-"] in rows
    assert next(row for row in rows if row[:3] == ["2", "AB", "16"])[3:6] == ["1234", "4660", "4660"]
    for order in ("AB", "BA", "ABCD", "CDAB", "BADC", "DCBA", "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"):
        assert any(row[:2] == ["0", order] for row in rows), order
    bits = run("chengmai", "probe", "--units", "1", "--function", "2", "--start", "3", "--count", "2",
               f"tcp://127.0.0.1:{slave.port}")
    assert [line.split() for line in bits.stdout.splitlines()[-2:]] == [["3", "1"], ["4", "0"]]


def test_nobody_there_is_no_answer(place):
    done = run("chengmai", "probe", f"tcp://127.0.0.1:{harness.free_port()}")
    assert done.returncode == 2 and "refused" in done.stderr
    assert subprocess.run([harness.program("chengmai"), "probe", "--help"], check=True,
                          capture_output=True, text=True).stdout.startswith("usage: chengmai probe")


# ---- our simulator ------------------------------------------------------------------------------


def test_status_shows_a_unit_going_down_when_the_simulator_silences_it(place):
    port = harness.free_port()
    maps = harness.CONFIG / "maps"
    place.sim(harness.fill(SIM, PORT=port, MAPS=maps)).start()
    edge = place.edge(place.broker().start(), "leachate", tcp_link(
        "plc", port, f'{{unit: 1, map: "{maps}/leachate-plc.csv", name: plc, interval: 200ms}}',
        f'{{unit: 2, map: "{maps}/leachate-analyser.csv", name: effluent, interval: 200ms}}')).start()

    def states():
        found = json.loads(run("chengmai", "status", "--json", edge.config).stdout)
        return [unit["state"] for unit in found["links"][0]["units"]]
    wait_until("both to be well", lambda: states() == ["ok", "ok"])
    wait_until("the second to be down", lambda: states() == ["ok", "down"], 30)
    silent = run("chengmai", "read", "--json", edge.config, "leachate.effluent.cod")
    assert silent.returncode == 1 and json.loads(silent.stdout)["cause"] == "comm_timeout"


# ---- every kind of line -------------------------------------------------------------------------

LINE_MAP = slaves.HEADER + "a,3,0,uint16,AB,1,0,,ro,\nb,3,1,float32,CDAB,1,0,m,ro,\nc,4,7,int16,AB,1,0,,ro,\n"


@pytest.fixture(scope="module")
def lines(module_place):
    """Two units behind a serial line, a serial server and a DTU; kind → URL."""
    folder = module_place.folder / "lines"
    folder.mkdir()
    (folder / "map.csv").write_text(LINE_MAP, "utf-8")
    units = ""
    for unit in (3, 9):
        (folder / f"{unit}.csv").write_text(f"time,a,b,c\n2026-01-05 08:00:00,{unit},{unit + 21.4},{-unit}\n", "utf-8")
        units += f'      - {{unit: {unit}, map: "{folder}/map.csv", replay: {{file: "{folder}/{unit}.csv"}}}}\n'
    server, dtu = harness.free_port(), harness.free_port()
    urls = {"rtu": f"rtu://{folder}/line?baud=115200&parity=N&stop=2", "rtu+tcp": f"rtu+tcp://127.0.0.1:{server}",
            "dtu": f"dtu://127.0.0.1:{dtu}?register=DTU%2001&heartbeat=HB"}
    text = f'seed: 7\nlinks:\n  - listen: "pty:{folder}/line"\n    baud: 115200\n    units:\n{units}'
    for kind in ("rtu+tcp", "dtu"):
        text += (f'  - listen: "pty:{folder}/{kind}"\n    baud: 115200\n    bridge: "{urls[kind]}"\n'
                 f'    heartbeat: 100ms\n    units:\n{units}')
    module_place.sim(text, name="lines-sim").start().wait_line("link 2 listens on")
    return folder, urls


@pytest.mark.parametrize("kind", ("rtu", "rtu+tcp", "dtu"))
def test_units_are_found_on_every_kind_of_line(lines, kind):
    _, urls = lines
    done = run("chengmai", "probe", "--json", "--timeout", "300ms", "--units", "2-4", "--count", "3", "--expect", "24.4",
               urls[kind], timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [unit["unit"] for unit in found["units"]] == [3]
    assert [register["raw"] for register in found["units"][0]["registers"]][0] == "0003"
    assert found["guesses"][0]["map"] == "value,3,1,float32,CDAB,1,0,,ro,"


def test_readings_come_through_an_edge_over_every_kind_of_line(place, lines):
    folder, urls = lines
    text = ""
    for name, url in (("rtu", urls["rtu"]), ("server", urls["rtu+tcp"]), ("dtu", urls["dtu"])):
        text += f'  - name: {name}\n    url: "{url}"\n    timeout: 300ms\n    units:\n' + "".join(
            f'      - {{unit: {unit}, map: "{folder}/map.csv", name: {name}{unit}, interval: 200ms}}\n' for unit in (3, 9, 7))
    edge = place.edge(place.broker(), "e1", text, site="s", more="drain: 0s\n").start()
    points = [f"s.{name}{unit}.b" for name in ("rtu", "server", "dtu") for unit in (3, 9)]

    def values():
        done = run("chengmai", "read", "--json", edge.config, *points, timeout=60)
        return [json.loads(line)["value"] for line in done.stdout.splitlines()]
    wait_until("every line to answer", lambda: values() == [24.4, 30.4] * 3, 60)
    for name in ("rtu", "server", "dtu"):  # unit 7 is not there, and holds up nobody
        silent = json.loads(run("chengmai", "read", "--json", edge.config, f"s.{name}7.b", timeout=60).stdout)
        assert (silent["quality"], silent["cause"]) == ("bad", "comm_timeout")
    assert values() == [24.4, 30.4] * 3

    def states():
        return [[unit["state"] for unit in link["units"]]
                for link in json.loads(run("chengmai", "status", "--json", edge.config).stdout)["links"]]
    wait_until(lambda: f"the units to be what they are: {states()}", lambda: states() == [["ok", "ok", "down"]] * 3)
    found = json.loads(run("chengmai", "status", "--json", edge.config).stdout)
    assert [sum(link["strays"][what] for what in ("foreign", "late", "misfits")) for link in found["links"]] == [0, 0, 0]
    assert edge.stop() == 0
