"""chengmai-edge against slaves nobody here wrote, seen by a centre made by hand."""

import math
import re
import struct
import subprocess

import pytest

import harness
import slaves
from harness import now_ms, tcp_link, wait_until
from slaves import Slave, words

# name, function, address, type, order, scale, offset, what the register holds, what is published
NUMBERS = [
    ("f_abcd", 3, 0, "float32", "ABCD", 1, 0, 61.8, 61.8),
    ("f_cdab", 3, 2, "float32", "CDAB", 1, 0, -0.1, -0.1),
    ("f_badc", 3, 4, "float32", "BADC", 1, 0, 1.5e-42, 1.5e-42),
    ("f_dcba", 3, 6, "float32", "DCBA", 1, 0, 16777216.0, 16777216),
    ("u16", 3, 8, "uint16", "AB", 0.1, 0, 65535, 6553.5),
    ("u16_ba", 3, 9, "uint16", "BA", 1, 0, 258, 258),
    ("i16", 3, 10, "int16", "AB", 0.01, 5, -3, 4.97),
    ("u32", 3, 11, "uint32", "CDAB", 1, 0, 4294967295, 4294967295),
    ("i32", 3, 13, "int32", "ABCD", 1, 0, -2147483648, -2147483648),
    ("f64", 3, 15, "float64", "ABCDEFGH", 1, 0, math.pi, math.pi),
    ("f64_swapped", 3, 19, "float64", "GHEFCDAB", 1, 0, -1e300, -1e300),
    ("u64", 3, 23, "uint64", "ABCDEFGH", 1, 0, 2**53 + 1, str(2**53 + 1)),
    ("i64", 3, 27, "int64", "HGFEDCBA", 1, 0, -(2**63), str(-(2**63))),
    ("input", 4, 100, "float32", "CDAB", 1, 0, 7.42, 7.42),
    ("input_u16", 4, 102, "uint16", "AB", 0.1, -40, 655, 25.5),
]
BITS = [("coil_on", 1, 5, 1), ("coil_off", 1, 6, 0), ("input_on", 2, 0, 1), ("input_off", 2, 9, 0)]


def f32(value):
    return struct.unpack(">f", struct.pack(">f", value))[0]


@pytest.fixture(scope="module")
def field(module_place):
    """A gateway with three units, a second device, an edge that reads them, and a centre."""
    place = module_place
    slave, second = Slave(), Slave()
    one = slave.unit(1)
    rows = slaves.HEADER
    for name, function, address, type_, order, scale, offset, raw, _ in NUMBERS:
        rows += f"{name},{function},{address},{type_},{order},{scale},{offset},x,ro,\n"
        one.put(function, address, words(raw, type_, order))
    for name, function, address, value in BITS:
        rows += f"{name},{function},{address},bit,,,,,ro,\n"
        one.put(function, address, [bool(value)])
    rows += "nan,3,200,float32,ABCD,1,0,x,ro,\nabsent,3,900,uint16,AB,1,0,x,ro,\n"
    one.put(3, 200, words(math.nan, "float32", "ABCD"))
    (place.folder / "all.csv").write_text(rows, "utf-8")
    (place.folder / "one.csv").write_text(slaves.HEADER + "v,3,0,uint16,AB,1,0,°C,ro,one value 一个值\n", "utf-8")
    for number in (2, 3):
        slave.unit(number).put(3, 0, [number])
    second.unit(1).put(3, 0, [77])
    for each in (slave, second):
        place.add(each).start()
    broker = place.broker().start()
    centre = place.centre_by_hand(broker)
    one_csv = place.folder / "one.csv"
    edge = place.edge(
        broker, "e1",
        tcp_link("gateway", slave.port, f'{{unit: 1, map: "{place.folder}/all.csv", name: all, interval: 500ms}}',
                 f'{{unit: 2, map: "{one_csv}", name: two, interval: 200ms, class: compliance}}',
                 f'{{unit: 3, map: "{one_csv}", name: three, interval: 200ms, class: safety}}')
        + tcp_link("second", second.port, f'{{unit: 1, map: "{one_csv}", name: other, interval: 200ms, class: safety}}'),
        site="county", more="drain: 5s\n").start()
    field = type("Field", (), {})()
    field.place, field.slave, field.second, field.centre, field.edge = place, slave, second, centre, edge
    return field


def good(sample):
    return sample[3] == "good"


@pytest.mark.parametrize("row", NUMBERS, ids=[row[0] for row in NUMBERS])
def test_a_register_comes_out_as_it_stands(field, row):
    _, _, value, quality, _, _ = field.centre.wait_sample("e1", f"county.all.{row[0]}", good)
    wanted = row[8]
    if row[3] == "float32":
        assert f32(value) == f32(wanted)
    assert value == wanted and quality == "good" and type(value) in (type(wanted), int)


@pytest.mark.parametrize("row", BITS, ids=[row[0] for row in BITS])
def test_a_bit_comes_out_as_it_stands(field, row):
    assert field.centre.wait_sample("e1", f"county.all.{row[0]}", good)[2] == row[3]


def test_not_a_number_is_bad_and_has_no_value(field):
    sample = field.centre.wait_sample("e1", "county.all.nan")
    assert sample[2:5] == (None, "bad", "not_a_number")


def test_a_register_that_is_not_there_is_bad_and_spoils_no_other(field):
    sample = field.centre.wait_sample("e1", "county.all.absent")
    assert sample[2:5] == (None, "bad", "modbus_exception")
    assert field.centre.wait_sample("e1", "county.all.f_abcd", lambda s: s[1] > sample[1] and good(s))


def test_mbpoll_reads_the_same(field):
    """A third Modbus implementation, on the same registers."""
    for name, option, address in (("f_abcd", "4:float", 0), ("u16_ba", "4", 9), ("input_u16", "3", 102)):
        big = ["-B"] if name == "f_abcd" else []
        out = subprocess.run(["mbpoll", "-m", "tcp", "-0", "-1", "-a", "1", "-r", str(address), "-t", option, *big,
                              "-p", str(field.slave.port), "127.0.0.1"], capture_output=True, text=True,
                             timeout=20, check=True).stdout
        found = float(re.search(rf"^\[{address}\]:\s+(\S+)", out, re.MULTILINE)[1])
        value = field.centre.wait_sample("e1", f"county.all.{name}", good)[2]
        if name == "u16_ba":
            found = (int(found) & 255) * 256 + int(found) // 256
        if name == "input_u16":
            found = found / 10 - 40
        assert value == pytest.approx(found, rel=1e-6)


def test_a_change_is_seen_and_stamped_when_it_was_read(field):
    before = now_ms()
    field.slave.units[2].put(3, 0, [4321])
    sample = field.centre.wait_sample("e1", "county.two.v", lambda s: s[2] == 4321)
    assert before - 100 <= sample[1] <= now_ms()
    assert sample[1] - before < 1000, "source time within a second of the change"


def test_an_interval_is_kept(field):
    """Source times of a point are on its grid: none is read twice, none is passed over for long."""
    wait_until("twenty readings", lambda: len(field.centre.samples("e1", "county.three.v")) >= 20)
    times = sorted(s[1] for s in field.centre.samples("e1", "county.three.v"))
    assert len(set(times)) == len(times)
    assert 150 <= (times[-1] - times[0]) / (len(times) - 1) <= 400


def test_the_birth_says_what_the_points_are(field):
    field.centre.wait_sample("e1", "county.two.v")
    for birth in field.centre.births("e1").values():
        assert birth["edge"] == "e1" and birth["site"] == "county" and birth["stream"] == "a"
    point = next(p for b in field.centre.births("e1").values() for p in b["points"] if p["id"] == "county.two.v")
    assert point["unit"] == "°C" and point["class"] == "compliance" and point["interval"] == 200
    assert point["stream"] == "c" and point["type"] == "uint16" and point["site"] == "county"


def test_data_names_a_birth_by_the_hash_of_its_bytes(field):
    field.centre.wait_sample("e1", "county.two.v")
    births = field.centre.births("e1")
    data = [r for _, _, r in field.centre.records if r["kind"] == "data"]
    assert data and all(r["birth"] in births for r in data)
    for record in data:
        assert all(i < len(births[record["birth"]]["points"]) for i in record["id"])


def test_streams_are_those_of_the_classes(field):
    for point, stream in (("county.all.u16", "t"), ("county.two.v", "c"), ("county.three.v", "s")):
        assert field.centre.wait_sample("e1", point)[5]["stream"] == stream


def test_sequences_have_no_hole_and_no_double(field):
    wait_until("some records", lambda: len(field.centre.records) > 20)
    records = list(field.centre.records)
    for stream in "asct":
        numbers = [r["seq"] for e, _, r in records if e == "e1" and r["stream"] == stream]
        assert numbers, f"nothing in stream {stream}"
        assert sorted(numbers) == list(range(1, max(numbers) + 1))


def test_only_reads_are_asked(field):
    field.centre.wait_sample("e1", "county.two.v")
    asked = {entry[0] for unit in field.slave.units.values() for entry in unit.asked}
    assert asked == {1, 2, 3, 4}


def test_a_device_that_answers_exceptions_is_bad_at_once_and_alone(field):
    unit = field.slave.units[2]
    unit.broken = True
    since = now_ms()
    try:
        bad = field.centre.wait_sample("e1", "county.two.v", lambda s: s[1] >= since and s[3] == "bad")
        assert bad[2] is None and bad[4] == "modbus_exception"
        assert field.centre.wait_sample("e1", "county.three.v", lambda s: s[1] > bad[1] and good(s))
    finally:
        unit.broken = False
    field.centre.wait_sample("e1", "county.two.v", lambda s: s[1] > bad[1] and good(s))


def test_a_silent_unit_is_bad_and_its_neighbours_go_on(field):
    since = now_ms()
    unit = field.slave.silence(2)
    try:
        bad = field.centre.wait_sample("e1", "county.two.v", lambda s: s[1] >= since and s[3] == "bad")
        assert bad[2] is None and bad[4] == "comm_timeout"
        assert bad[1] - since < 3000
        again = field.centre.wait_sample("e1", "county.two.v", lambda s: s[1] > bad[1] + 1000)
        assert again[3] == "bad", "bad as long as it is silent, again and again"
        assert field.centre.wait_sample("e1", "county.three.v", lambda s: s[1] > again[1] and good(s))
        assert field.centre.wait_sample("e1", "county.all.u16", lambda s: s[1] > again[1] and good(s))
    finally:
        field.slave.units[2] = unit
    field.centre.wait_sample("e1", "county.two.v", lambda s: s[1] > again[1] and good(s), 30)


def test_a_dead_device_is_bad_and_the_others_go_on(field):
    since = now_ms()
    field.second.close()
    bad = field.centre.wait_sample("e1", "county.other.v", lambda s: s[1] >= since and s[3] == "bad")
    assert bad[2] is None and bad[4] in ("link_down", "comm_timeout")
    later = field.centre.wait_sample("e1", "county.other.v", lambda s: s[1] > bad[1] + 1000)
    assert later[3] == "bad" and later[4] == "link_down"
    assert field.centre.wait_sample("e1", "county.three.v", lambda s: s[1] > later[1] and good(s))
    field.edge.wait_line(r"second is down")
    field.second.start()
    back = field.centre.wait_sample("e1", "county.other.v", lambda s: s[1] > later[1] and good(s), 30)
    assert back[2] == 77
    field.edge.wait_line(r"second is well again")


def test_each_interval_has_its_sample_while_a_device_is_dead(field):
    """Nothing is passed over in silence: a bad sample stands for every read that did not come."""
    field.second.close()
    since = now_ms()
    field.centre.wait_sample("e1", "county.other.v", lambda s: s[1] >= since + 3000 and s[3] == "bad")
    field.second.start()
    times = sorted(s[1] for s in field.centre.samples("e1", "county.other.v") if since + 500 <= s[1] < since + 3000)
    assert max(b - a for a, b in zip(times, times[1:])) <= 600
    field.centre.wait_sample("e1", "county.other.v", lambda s: s[1] > since + 3000 and good(s), 70)


def test_without_receipts_records_come_again(field):
    """A PUBACK is worth nothing: only a receipt is. A new run of the centre has everything sent
    again that was not receipted."""
    centre = field.centre
    centre.receipting = False
    start = len(centre.records)
    wait_until("data without a receipt", lambda: any(
        r["stream"] == "s" for _, _, r in centre.records[start:]))
    wanted = {(r["stream"], r["seq"]) for _, _, r in list(centre.records)[start:]}
    for stream, seq in wanted:
        centre.have[("e1", centre.records[-1][2]["epoch"])][stream].discard(seq)
    again = len(centre.records)
    centre.nonce = "2" * 32
    centre.receipting = True
    centre.beat()
    centre.receipt("e1", centre.records[-1][2]["epoch"])
    wait_until("the same records again", lambda: wanted <= {
        (r["stream"], r["seq"]) for _, _, r in list(centre.records)[again:]}, 30)


def test_what_comes_again_is_the_same_to_the_byte(field):
    payloads = {}
    for edge, message, record in list(field.centre.records):
        key = (edge, record["epoch"], record["stream"], record["seq"])
        assert payloads.setdefault(key, message.payload) == message.payload


def test_nothing_is_sent_while_the_centre_is_away(field):
    """But read and kept, and sent when it is back."""
    centre = field.centre
    centre.receipting = False
    centre.beat(up=False)
    since = len(centre.received())
    # The marker: two states later (1 s each) all that was under way has come.
    states = [m for m in centre.received() if m.topic == harness.topic("e1", "state")]
    wait_until("two more states", lambda: len([m for m in centre.received() if m.topic == harness.topic(
        "e1", "state")]) >= len(states) + 2)
    quiet = len(centre.received())
    wait_until("two more states", lambda: len([m for m in centre.received() if m.topic == harness.topic(
        "e1", "state")]) >= len(states) + 4)
    kinds = {m.topic.rsplit("/", 1)[1] for m in centre.received()[quiet:]}
    assert kinds <= {"state", "stats"} and since <= quiet
    away = now_ms()
    centre.receipting = True
    centre.nonce = "3" * 32
    centre.beat()
    times = wait_until("what was read meanwhile", lambda: [
        s[1] for s in centre.samples("e1", "county.three.v") if away - 2000 <= s[1] < away] or None, 30)
    assert times


def test_a_clean_stop_ends_with_nothing_unreceived(field):
    assert field.edge.stop() == 0
    state = field.centre.wait_message("its last state", lambda m: m.topic == harness.topic(
        "e1", "state") and not m.json()["up"]).json()
    for stream in "asct":
        assert field.centre.have[("e1", state["epoch"])].get(stream, set()) == set(
            range(1, state["last"][stream] + 1))
    counted = sum(len(r["id"]) for r in {
        (r["stream"], r["seq"]): r for _, _, r in field.centre.records if r["kind"] == "data"}.values())
    assert counted == state["total"], "what it read is what came"
