"""Packed, coded and counted registers of a slave nobody here wrote, seen by a centre made by hand; totals over a
kill."""

import json
import struct

import pytest

import harness
from harness import tcp_link
from slaves import Slave

MAP = """name,function,address,type,word_order,scale,offset,unit,description,enum,rollover,total,view
half,3,0,float16,AB,,,,a half 半精度
half_swapped,3,1,float16,BA,,,,
bcd,3,2,bcd32,CDAB,0.1,,m3,a packed total
broken,3,4,bcd16,AB,,,,digits that are none
mode,3,5,bits16,AB,,,,bits 4..6: what it does,0:stopped 停机|5:running 运行
lost,3,5,bits16,AB,,,,bits 8..11: without a word,1:one
fault,3,5,bits16,AB,,,,bit 15: it has tripped
clock,3,6,bcdtime6,YMDhms,,-28800000,ms,its clock at UTC+8
stamp,3,10,time12,YMDhms,,,ms,
volume,3,20,uint32,ABCD,0.1,,m3,as read,,4294967295
running,3,20,uint32,ABCD,0.1,,m3,over turns and meters,,4294967295,running
low_word,3,21,uint16,AB,,,,half of it,,,,volume
"""

VALUES = {"half": 1.5, "half_swapped": -2, "bcd": 1234567.8, "mode": "running 运行", "fault": 1,
          "clock": 1798732799000, "stamp": 1798761599000, "volume": 429496729.0, "low_word": 65530}
TURN = 2**32


def show(unit, count):
    unit.put(3, 20, [count >> 16, count & 0xFFFF])


@pytest.fixture(scope="module")
def field(module_place):
    place = module_place
    slave = Slave()
    unit = slave.unit(1)
    unit.put(3, 0, [struct.unpack(">H", struct.pack(">e", 1.5))[0], struct.unpack("<H", struct.pack(">e", -2))[0],
                    0x5678, 0x1234, 0x12A4, 0x8250])
    unit.put(3, 6, [0x2612, 0x3123, 0x5959])
    unit.put(3, 10, [2026, 12, 31, 23, 59, 59])
    show(unit, TURN - 6)
    (place.folder / "types.csv").write_text(MAP, "utf-8")
    place.add(slave).start()
    broker = place.broker().start()
    centre = place.centre_by_hand(broker)
    edge = place.edge(broker, "e1", tcp_link("plc", slave.port,
                                             f'{{unit: 1, map: "{place.folder}/types.csv", name: u, interval: 100ms}}'),
                      site="s", more="drain: 5s\n").start()
    found = type("Field", (), {})()
    found.unit, found.centre, found.edge = unit, centre, edge
    return found


@pytest.mark.parametrize("name", VALUES)
def test_a_register_comes_out_as_it_stands(field, name):
    sample = field.centre.wait_sample("e1", f"s.u.{name}", lambda s: s[3] == "good")
    assert sample[2] == VALUES[name]


def test_what_means_nothing_is_bad(field):
    assert field.centre.wait_sample("e1", "s.u.broken")[2:5] == (None, "bad", "not_a_number")
    assert field.centre.wait_sample("e1", "s.u.lost")[2:5] == (2, "bad", "out_of_range")


def wait_value(field, name, value, since=0):
    return field.centre.wait_sample("e1", f"s.u.{name}", lambda s: s[2] == value and s[1] >= since)


def test_the_tool_says_that_it_shows_the_count_not_the_total(field):
    wait_value(field, "running", (TURN - 6) / 10)
    done = harness.run("chengmai", "read", "--json", field.edge.config, "s.u.volume", "s.u.running")
    volume, running = map(json.loads, done.stdout.splitlines())
    assert volume["value"] == running["value"] == (TURN - 6) / 10
    assert "note" not in volume
    assert "the meter's count" in running["note"]
    assert running["note"] in harness.run("chengmai", "read", field.edge.config, "s.u.running").stdout


def saved_turns(field):
    """How many totalisers are saved with a turn behind them."""
    return sum(path.read_text("utf-8").count(f",{TURN}\n") for path in field.edge.folder.rglob("totals.csv"))


def test_a_running_total_outlasts_a_turn_a_kill_and_another_meter(field):
    wait_value(field, "running", (TURN - 6) / 10)
    show(field.unit, 4)  # it rolls over
    assert wait_value(field, "volume", 0.4)[3:5] == ("uncertain", "rollover")
    assert wait_value(field, "running", (TURN + 4) / 10)[3:5] == ("uncertain", "rollover")
    harness.wait_until("the turn to be saved", lambda: saved_turns(field) == 2)
    field.edge.kill()
    show(field.unit, 14)
    field.edge.start()
    sample = wait_value(field, "running", (TURN + 14) / 10)
    assert sample[3] == "good"
    show(field.unit, 2_000_000_000)  # another meter
    assert wait_value(field, "volume", 200_000_000.0)[3:5] == ("uncertain", "meter_swap")
    show(field.unit, 2_000_000_003)
    assert wait_value(field, "running", (TURN + 17) / 10)[3] == "good"
