"""Every kind of link, against slaves of several makers, and against slaves that misbehave in every way: bad quality with
the right cause, and never a wrong number."""

import asyncio
import shutil
import socket
import threading

import pytest
from pymodbus.server.async_io import ModbusSerialServer, ModbusTcpServer
from pymodbus.transaction import ModbusRtuFramer

import harness
import ill_slaves
import slaves
from harness import ROOT, Child, wait_until
from ill_lines import check_no_wrong_number, edge_of, good, haunt, link, open_lines, unit, write_map

FOREIGN = ROOT / "tests" / "system" / "foreign"


# ---- our simulator, over each kind of line ------------------------------------------------------

MAP = ("name,function,address,type,word_order,scale,offset,unit,access,description\n"
       "a,3,0,uint16,AB,1,0,,ro,\nb,3,1,float32,CDAB,1,0,,ro,\nc,4,7,int16,AB,1,0,,ro,\nd,3,60,uint16,AB,1,0,,ro,\n")
SERIES = "time,a,b,c,d\n2026-01-05 08:00:00,{a},{b},{c},{d}\n"
KINDS = ("serial", "server", "dtu", "noisy")


@pytest.fixture(scope="module")
def simulated(module_place):
    """Four serial lines of two units each: plain, with a serial server, with a DTU that calls, and a noisy one."""
    place, folder = module_place, module_place.folder
    (folder / "map.csv").write_text(MAP, "utf-8")
    for unit in (3, 200):
        (folder / f"{unit}.csv").write_text(SERIES.format(a=unit, b=unit + 0.5, c=-unit, d=unit + 1000), "utf-8")
    server, dtu, noisy = harness.free_port(), harness.free_port(), harness.free_port()
    bridges = {"server": f"rtu+tcp://127.0.0.1:{server}",
               "dtu": f"dtu://127.0.0.1:{dtu}?register=DTU%2001&heartbeat=HB", "noisy": f"rtu+tcp://127.0.0.1:{noisy}"}
    units = "".join(f"      - {{unit: {unit}, map: map.csv, replay: {{file: {unit}.csv}}}}\n" for unit in (3, 200))
    text = "seed: 7\nlinks:\n"
    for kind in KINDS:
        text += f"  - listen: pty:{kind}\n    baud: 115200\n"
        if kind in bridges:
            text += f'    bridge: "{bridges[kind]}"\n    heartbeat: 100ms\n'
        text += f"    units:\n{units}"
    sim = place.sim(text + "scenario:\n  - {at: 0s, for: 1h, link: 3, kind: noise, amount: 0.3}\n").start()
    sim.wait_line("link 3 listens on")
    broker = place.broker().start()
    centre = place.centre_by_hand(broker)
    urls = {"serial": f"rtu://{folder}/serial?baud=115200&parity=N&stop=2", **bridges}
    urls["dtu"] = urls["dtu"].replace("127.0.0.1", "0.0.0.0")
    links = "".join(link(kind, urls[kind], *(f'{{unit: {unit}, map: "{folder}/map.csv", name: {kind}{unit}, '
                                             'interval: 250ms}' for unit in (3, 200))) for kind in KINDS)
    simulated = type("Simulated", (), {})()
    simulated.edge = place.edge(broker, "e1", links, site="s", more="drain: 5s\n").start()
    simulated.centre, simulated.sim, simulated.dtu_port, simulated.folder = centre, sim, dtu, folder
    return simulated


WANTED = {"a": lambda unit: unit, "b": lambda unit: unit + 0.5, "c": lambda unit: -unit, "d": lambda unit: unit + 1000}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", (3, 200))
def test_the_simulator_is_read_over_each_kind_of_line(simulated, kind, unit):
    for point, value in WANTED.items():
        assert simulated.centre.wait_sample("e1", f"s.{kind}{unit}.{point}", good)[2] == value(unit)


def test_noise_makes_readings_bad_and_none_wrong(simulated):
    wait_until("good and bad ones", lambda: {"good", "bad"} <= {
        s[3] for s in simulated.centre.samples("e1") if s[0].startswith("s.noisy")}, 30)
    for name, _, value, quality, cause, _ in simulated.centre.samples("e1"):
        kind, point = name.split(".")[1:]
        if quality == "good":
            assert value == WANTED[point](200 if kind.endswith("200") else 3), name
        else:
            assert value is None and cause in ("comm_timeout", "link_down", "bad_response"), (name, cause)


def test_a_call_that_nobody_waits_for_is_told_once(simulated):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", simulated.dtu_port), timeout=5) as stranger:
            stranger.sendall(b"SCANNER\r\n")
            assert stranger.recv(10) == b""
    simulated.edge.wait_line(r"127\.0\.0\.1 calls as 'SCANNER%0D%0A', for which no link waits")
    before = simulated.centre.samples("e1", "s.dtu3.a")[-1][1]
    simulated.centre.wait_sample("e1", "s.dtu3.a", lambda s: s[1] > before + 1500 and good(s))
    assert simulated.edge.log().count("SCANNER") == 1


def test_a_second_edge_does_not_take_the_serial_port(simulated):
    folder = simulated.folder
    text = simulated.edge.config.read_text("utf-8")
    (folder / "second.yaml").write_text(
        text[:text.index("links:")].replace("e1-journal", "second-journal") + "links:\n"
        + link("serial", f"rtu://{folder}/serial", f'{{unit: 3, map: "{folder}/map.csv", name: x}}'), "utf-8")
    second = Child(folder, "second", [harness.program("chengmai-edge"), "--config", "second.yaml"]).start()
    try:
        second.wait_line("serial is down: .*serial is in use by another program")
        assert second.stop() == 0
    finally:
        second.end()
    before = simulated.centre.samples("e1", "s.serial3.a")[-1][1]
    assert simulated.centre.wait_sample("e1", "s.serial3.a", lambda s: s[1] > before and good(s))


# ---- slaves nobody here wrote -------------------------------------------------------------------


class PymodbusRtu(slaves.Slave):
    """pymodbus with its RTU framer: over TCP, or at one end of a serial line."""

    def __init__(self, device=None):
        super().__init__()
        self.device = device

    def start(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        if not self.device:
            wait_until("pymodbus to listen", lambda: harness.listens(self.port))
        return self

    async def _serve(self):
        self.ending = asyncio.Event()
        if self.device:
            server = ModbusSerialServer(self.context, framer=ModbusRtuFramer, port=self.device, baudrate=19200,
                                        loop=self.loop, ignore_missing_slaves=True)
            await server.start()
        else:
            server = ModbusTcpServer(self.context, framer=ModbusRtuFramer, address=("127.0.0.1", self.port),
                                     loop=self.loop, allow_reuse_address=True, ignore_missing_slaves=True)
        task = asyncio.ensure_future(server.serve_forever())
        await self.ending.wait()
        for handler in list(getattr(server, "active_connections", {}).values()):
            handler.transport.abort()
        # A handler that is left behind would never let the interpreter end.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5)


def test_pymodbus_is_read_by_rtu_over_tcp_and_over_a_serial_line(place):
    (place.folder / "one.csv").write_text(
        slaves.HEADER + "v,3,5,uint16,AB,1,0,,ro,\nw,4,100,float32,CDAB,1,0,,ro,\nabsent,3,900,uint16,AB,1,0,,ro,\n", "utf-8")
    crossed = place.add(ill_slaves.Crossed())
    crossed.start()
    over_tcp, serial = PymodbusRtu(), PymodbusRtu(crossed.paths[0])
    for number, slave in enumerate((over_tcp, serial)):
        for one in (1, 17):
            slave.unit(one).put(3, 5, [1000 * number + one])
            slave.unit(one).put(4, 100, slaves.words(number + one / 4, "float32", "CDAB"))
        place.add(slave).start()
    centre = edge_of(place, "".join(
        link(name, url, *(unit(one, f"{name}{one}", folder=place.folder) for one in (1, 17, 40)))
        for name, url in (("tcp", f"rtu+tcp://127.0.0.1:{over_tcp.port}"),
                          ("line", f"rtu://{crossed.paths[1]}?baud=19200"))))
    for number, name in enumerate(("tcp", "line")):
        for one in (1, 17):
            assert centre.wait_sample("e1", f"s.{name}{one}.v", good)[2] == 1000 * number + one
            assert centre.wait_sample("e1", f"s.{name}{one}.w", good)[2] == number + one / 4
            assert centre.wait_sample("e1", f"s.{name}{one}.absent")[3:5] == ("bad", "modbus_exception")
        assert centre.wait_sample("e1", f"s.{name}40.v")[3:5] == ("bad", "comm_timeout")


@pytest.mark.skipif(not shutil.which("node") or not (FOREIGN / "node_modules" / "modbus-serial").exists(),
                    reason="modbus-serial is not installed: make foreign-deps")
def test_modbus_serial_from_npm_is_read(place):
    port = harness.free_port()
    slave = place.add(Child(place.folder, "slave", ["node", FOREIGN / "slave.js", port])).start()
    slave.wait_line("listening")
    (place.folder / "npm.csv").write_text(
        slaves.HEADER + "h,3,5,uint16,AB,1,0,,ro,\ni,4,7,uint16,AB,1,0,,ro,\non,1,3,bit,,,,,ro,\noff,1,4,bit,,,,,ro,\n", "utf-8")
    centre = edge_of(place, link("npm", f"tcp://127.0.0.1:{port}",
                                 *(unit(n, f"u{n}", "npm.csv", folder=place.folder) for n in (1, 2, 9, 10))))
    for n in (1, 2):
        for point, value in (("h", n * 256 + 5), ("i", n * 256 + 7), ("on", 1), ("off", 0)):
            assert centre.wait_sample("e1", f"s.u{n}.{point}", good)[2] == value
    assert centre.wait_sample("e1", "s.u9.h")[3:5] == ("bad", "comm_timeout")
    assert centre.wait_sample("e1", "s.u10.h")[3:5] == ("bad", "modbus_exception")


# ---- slaves that misbehave ----------------------------------------------------------------------

HEALTHY = 1
GOOD = ("good", "none")
TIMED_OUT, BAD_REPLY = ("bad", "comm_timeout"), ("bad", "bad_response")
# manner: what its readings are over RTU, and over TCP (None: it cannot be so there)
MANNERS = {
    "silent": (TIMED_OUT, TIMED_OUT),
    "wrong_unit": (TIMED_OUT, TIMED_OUT),
    "wrong_function": (BAD_REPLY, BAD_REPLY),
    "too_long": (BAD_REPLY, BAD_REPLY),
    "too_short": (BAD_REPLY, BAD_REPLY),
    "half": (TIMED_OUT, TIMED_OUT),
    "dripping": (TIMED_OUT, TIMED_OUT),
    "refusing": (("bad", "modbus_exception"), ("bad", "modbus_exception")),
    "closing": (("bad", "link_down"), ("bad", "link_down")),
    "flipped": (TIMED_OUT, None),
    "doubled": (GOOD, GOOD),
    "in_pieces": (GOOD, GOOD),
    "echoing": (GOOD, None),
    "noisy": (GOOD, None),
    "other_transaction": (None, TIMED_OUT),
    "garbage": (None, BAD_REPLY),
}
LINES = ("tcp", "server", "dtu", "serial")


def manners_of(kind):
    column = 1 if kind == "tcp" else 0
    return {manner: wanted[column] for manner, wanted in MANNERS.items()
            if wanted[column] and not (kind == "serial" and manner == "closing")}


@pytest.fixture(scope="module")
def ill(module_place, tmp_path_factory):
    """On each line a healthy unit, and one for each manner."""
    place = harness.Place(tmp_path_factory.mktemp("ill"), module_place.keys)
    lines = open_lines(place)
    links = ""
    for kind, line in lines.items():
        units = [unit(HEALTHY, f"{kind}-healthy", "ill.csv", "500ms", place.folder)]
        for number, manner in enumerate(manners_of(kind), 2):
            line.manners[number] = getattr(ill_slaves, manner)
            units.append(unit(number, f"{kind}-{manner}", "ill.csv", "500ms", place.folder))
        links += link(kind, line.url(), *units, timeout=200)
    ill = type("Ill", (), {})()
    ill.lines, ill.place, ill.centre = lines, place, edge_of(place, links)
    yield ill
    place.end()


def number_of(kind, name):
    return HEALTHY if name == "healthy" else 2 + list(manners_of(kind)).index(name)


@pytest.mark.parametrize("kind,manner", [(kind, manner) for kind in LINES for manner in manners_of(kind)])
def test_what_a_slave_does_wrong_shows_as_its_cause(ill, kind, manner):
    wanted = manners_of(kind)[manner]
    sample = ill.centre.wait_sample("e1", f"s.{kind}-{manner}.a", lambda s: s[3:5] == wanted, 60)
    assert (sample[2] is None) == (sample[3] == "bad")


@pytest.mark.parametrize("kind", LINES)
def test_a_healthy_neighbour_of_ill_units_is_read(ill, kind):
    for point in ("a", "b"):
        assert ill.centre.wait_sample("e1", f"s.{kind}-healthy.{point}", good, 60)


def test_no_number_was_wrong(ill):
    wait_until("some time to have passed", lambda: len(ill.centre.samples("e1", "s.tcp-healthy.a")) > 8, 60)
    assert check_no_wrong_number(ill.centre, ill.lines, number_of) > 100


def test_a_dtu_that_calls_anew_takes_over_from_itself(place):
    """As after a lost signal: the old call stands as far as we know, and nothing comes over it any more."""
    port = harness.free_port()
    old = place.add(ill_slaves.DtuLine(port, "D1"))
    write_map(place)
    centre = edge_of(place, link("dtu", old.url(), unit(HEALTHY, "dtu-healthy", "ill.csv", folder=place.folder)))
    old.start()
    centre.wait_sample("e1", "s.dtu-healthy.a", good)
    old.freeze()
    new = place.add(ill_slaves.DtuLine(port, "D1")).start()
    since = harness.now_ms()
    centre.wait_sample("e1", "s.dtu-healthy.a", lambda s: s[1] >= since and good(s), 30)
    assert new.count > 0


def test_ghosts_leave_no_number(place):
    """The long form is tests/fault/test_ghosts_long.py."""
    haunt(place, 12)
