"""chengmai-central fed with records that no chengmai-edge wrote."""

import datetime
import json
import re

import pytest

import hand
import harness
from hand import Records, dump
from harness import now_ms, topic, wait_until


@pytest.fixture(scope="module")
def office(module_place):
    """A broker, a centre, and a client with the certificate of edge e1."""
    place = module_place
    office = type("Office", (), {})()
    office.place = place
    office.broker = place.broker().start()
    office.central = place.central(office.broker).start()
    office.clients = {name: place.client(office.broker, name) for name in ("e1", "e2")}
    for name, client in office.clients.items():
        client.subscribe(topic(name, "receipt"))
        client.subscribe(topic(name, "request"))
    return office


def epoch_of(letter):
    return letter * 32


def send(office, records, kind, payload):
    assert office.clients[records.edge].publish(topic(records.edge, kind), payload) < 128


def receipted(office, records, stream, seconds=10, numbers=None):
    """Waits for a receipt that covers all (or just these) numbers of a stream; returns it."""
    wanted = numbers or set(range(1, records.seq[stream] + 1))

    def covers(message):
        if not message.topic.endswith("/receipt"):
            return False
        receipt = message.json()
        return receipt["epoch"] == records.epoch and wanted <= covered(receipt, stream)
    return office.clients[records.edge].wait_message(f"a receipt for {stream} {wanted}", covers, seconds).json()


def covered(receipt, stream):
    told = receipt["streams"][stream]
    numbers = set(range(1, told["through"] + 1))
    for first, last in told.get("also", []):
        numbers |= set(range(first, last + 1))
    return numbers


def latest(office, point):
    values = {v["point"]: v for v in office.central.api.get("/api/v1/latest")["values"]}
    return values.get(point)


def history(office, point, **query):
    path = f"/api/v1/points/{point}/history?" + "&".join(f"{k}={v}" for k, v in query.items())
    return office.central.api.get(path)


def utc(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(
        timespec="milliseconds").replace("+00:00", "Z")


def ms(text):
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def test_the_centre_says_that_it_is_there(office):
    wait_until("the centre to be connected", lambda: office.central.metric("chengmai_broker_connected") == 1)
    client = office.clients["e1"]
    client.subscribe(harness.TOPICS + "central/c1/state")
    state = client.wait_message("the centre's state", lambda m: m.topic.endswith("central/c1/state"))
    assert state.retained and state.json()["up"] is True and state.json()["centre"] == "c1"
    assert re.fullmatch("[0-9a-f]{32}", state.json()["nonce"])


def test_by_mosquitto_pub_alone(office):
    """From the shell to the history, with the tools of others."""
    place = office.place
    records = Records("leachate", epoch_of("1"))
    birth, name = records.birth(("tank.cod", "mg/L"), ("tank.ph", "pH"))
    t0 = now_ms() - 60_000
    data = records.data(name, [0, 1, 0, 1], [61.8, 7.42, 62.5, None], t0=t0, dt=[0, 40, 1000, 1040], q=[0, 0, 256, 513])
    hand.mosquitto_pub(office.broker, "leachate", "birth", birth, place.folder)
    hand.mosquitto_pub(office.broker, "leachate", "data", data, place.folder)
    cod = wait_until("the value", lambda: latest(office, "leachate.tank.cod"))
    assert cod["value"] == 62.5 and cod["quality"] == "uncertain" and ms(cod["t"]) == t0 + 1000
    ph = latest(office, "leachate.tank.ph")
    assert ph["value"] is None and ph["quality"] == "bad" and ph["cause"] == "comm_timeout"
    assert ms(ph["t"]) == t0 + 1040
    found = wait_until("the history", lambda: [
        b for b in history(office, "leachate.tank.cod", **{"from": utc(t0 - 1000), "to": utc(t0 + 3000), "width": 1})[
            "buckets"] if b["count"] == 2])[0]
    assert (found["min"], found["max"], found["mean"], found["quality"]) == (61.8, 62.5, 62.15, "uncertain")
    points = {p["id"]: p for p in office.central.api.get("/api/v1/points")["points"]}
    assert points["leachate.tank.cod"]["unit"] == "mg/L" and points["leachate.tank.cod"]["site"] == "leachate"


def test_each_value_is_stored_where_it_belongs(office):
    records = Records("e1", epoch_of("2"), "fine")
    birth, name = records.birth(("v.x", "kPa"), class_="compliance")
    t0 = now_ms() - 100_000
    send(office, records, "birth", birth)
    values = [0.1, -1e-9, 123456.789, 1e300, 5e-324, 0, -0.5, 16777217]
    send(office, records, "data", records.data(name, [0] * 8, values, "c", t0=t0, dt=[i * 1000 for i in range(8)]))
    receipted(office, records, "c")
    found = wait_until("eight values", lambda: [b for b in history(office, "fine.v.x", **{
        "from": utc(t0), "to": utc(t0 + 8000), "width": 8})["buckets"] if b["count"]][7:] and history(
            office, "fine.v.x", **{"from": utc(t0), "to": utc(t0 + 8000), "width": 8})["buckets"])
    assert [b["min"] for b in found] == values
    assert [ms(b["t"]) for b in found] == [t0 + i * 1000 for i in range(8)]


def test_duplicates_have_no_effect(office):
    records = Records("e1", epoch_of("3"), "twice")
    birth, name = records.birth(("v.x", "x"))
    data = records.data(name, [0, 0], [1.5, 2.5], dt=[0, 10])
    before = office.central.metrics()
    for _ in range(3):
        send(office, records, "birth", birth)
        send(office, records, "data", data)
        send(office, records, "backfill", data)
    receipted(office, records, "t")
    wait_until("the duplicates to be counted", lambda: office.central.metric(
        "chengmai_duplicates_total") == before["chengmai_duplicates_total"] + 7)
    after = office.central.metrics()
    assert after["chengmai_points_total"] == before["chengmai_points_total"] + 2
    buckets = wait_until("the history", lambda: history(office, "twice.v.x", width=1)["buckets"])
    assert sum(b["count"] for b in buckets) == 2


def test_a_point_that_its_birth_lacks_holds_up_nobody(office):
    records = Records("e1", epoch_of("e"), "strange")
    birth, name = records.birth(("v.x", "x"))
    mark = office.central.mark()
    send(office, records, "birth", birth)
    send(office, records, "data", records.data(name, [0, 7, 0], [1.5, 9.9, 2.5], dt=[0, 5, 10]))
    send(office, records, "data", records.data(name, [0], [3.5]))
    receipted(office, records, "t")
    buckets = wait_until("the history", lambda: [b for b in history(office, "strange.v.x", width=1)["buckets"]
                                                 if b["count"] == 3])
    assert (buckets[0]["min"], buckets[0]["max"]) == (1.5, 3.5)
    office.central.wait_line(r"record 1 of e1: 1 samples are of points that its birth lacks", since=mark)


def test_data_before_its_birth_is_parked_asked_for_and_then_taken(office):
    records = Records("e1", epoch_of("4"), "early")
    birth, name = records.birth(("v.x", "x"))
    data = records.data(name, [0], [42.5])
    since = len(office.clients["e1"].messages)
    send(office, records, "data", data)
    asked = office.clients["e1"].wait_message("the request", lambda m: m.topic == topic("e1", "request"), since=since)
    assert asked.json() == {"birth": name}
    assert office.central.metric("chengmai_parked_records") == 1
    send(office, records, "state", records.state())
    first = office.clients["e1"].wait_message("a receipt", lambda m: m.topic == topic("e1", "receipt") and m.json()[
        "epoch"] == records.epoch, since=since).json()
    assert covered(first, "t") == set(), "parked data is not receipted"
    assert latest(office, "early.v.x") is None
    send(office, records, "birth", birth)
    assert covered(receipted(office, records, "t"), "a") == {1}
    assert wait_until("the value", lambda: latest(office, "early.v.x"))["value"] == 42.5
    wait_until("nothing parked", lambda: office.central.metric("chengmai_parked_records") == 0)


RUBBISH = {
    "no JSON": b"hello",
    "nothing": b"",
    "cut off": b'{"v":1,"kind":"data","epoch":"' + b"5" * 32 + b'","stream":"t","se',
    "not UTF-8": b'{"v":1,"kind":"\xff\xfe"}',
    "a list": b"[]",
    "too deep": b"[" * 5000,
    "too long": b'{"v":1,"x":"' + b"y" * 70000 + b'"}',
    "a stream of no name": b'{"v":1,"kind":"tick","epoch":"' + b"5" * 32 + b'","stream":"x","seq":1,"t0":0}',
    "a sequence below one": b'{"v":1,"kind":"tick","epoch":"' + b"5" * 32 + b'","stream":"t","seq":0,"t0":0}',
    "binary": bytes(range(256)),
}


def letters(office):
    path = office.central.data / "dead-letters.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.mark.parametrize("what", RUBBISH)
def test_what_cannot_be_read_is_kept_counted_and_stops_nothing(office, what):
    payload = RUBBISH[what]
    before = office.central.metric("chengmai_dead_letters_total")
    records = Records("e2", f"{list(RUBBISH).index(what):032x}", "after")
    send(office, records, "data", payload)
    wait_until("it to be counted", lambda: office.central.metric("chengmai_dead_letters_total") == before + 1)
    letter = letters(office)[-1]
    assert letter["topic"] == topic("e2", "data") and letter["reason"]
    assert bytes.fromhex(letter["payload_hex"]) == payload
    assert abs(ms(letter["time"]) - now_ms()) < 60_000
    birth, name = records.birth(("v.x", "x"))
    send(office, records, "birth", birth)
    send(office, records, "data", records.data(name, [0], [1]))
    receipted(office, records, "t")


def test_a_record_with_a_readable_head_is_receipted_when_it_is_kept(office):
    """Otherwise its edge would send it for ever."""
    records = Records("e2", epoch_of("6"), "partly")
    birth, name = records.birth(("v.x", "x"))
    send(office, records, "birth", birth)
    good = records.data(name, [0], [1])
    bad = records.data(name, [0, 0], [1])  # a value is missing
    send(office, records, "data", good)
    send(office, records, "data", bad)
    send(office, records, "data", records.data(name, [0], [3]))
    receipted(office, records, "t")
    assert bytes.fromhex(letters(office)[-1]["payload_hex"]) == bad
    assert wait_until("the value after it", lambda: (latest(office, "partly.v.x") or {}).get("value") == 3)


def test_a_foreign_state_is_a_dead_letter(office):
    """An edge that speaks of another on its own topic."""
    before = office.central.metric("chengmai_dead_letters_total")
    forged = Records("e1", epoch_of("7")).state()
    assert office.clients["e2"].publish(topic("e2", "state"), forged) < 128
    wait_until("it to be counted", lambda: office.central.metric("chengmai_dead_letters_total") == before + 1)


def test_receipts_name_exactly_what_is_there(office):
    records = Records("e1", epoch_of("8"), "exact")
    birth, name = records.birth(("v.x", "x"))
    send(office, records, "birth", birth)
    made = [records.data(name, [0], [float(n)]) for n in range(20)]
    sent = {1, 2, 3, 7, 8, 12, 20}
    for number in sorted(sent):
        send(office, records, "data", made[number - 1])
    receipt = receipted(office, records, "t", numbers=sent)
    newest = {"tip": 20, "sum": hand.crc32c(made[19])}  # by its contents
    assert receipt["streams"]["t"] == {"through": 3, "also": [[7, 8], [12, 12], [20, 20]], **newest}
    assert receipt["streams"]["a"]["through"] == 1 and receipt["centre"] == "c1"
    assert covered(receipt, "c") == covered(receipt, "s") == set()
    for number in (4, 5, 6, 9, 10, 11):
        send(office, records, "backfill", made[number - 1])
    receipt = receipted(office, records, "t", numbers=set(range(1, 13)) | {20})
    assert receipt["streams"]["t"] == {"through": 12, "also": [[20, 20]], **newest}


def test_the_hole_is_on_the_gap_ledger(office):
    """What the test before left open: 13 to 19 of epoch 8."""
    def look():
        return [(g["edge"], g["stream"], g["first"], g["last"], g["cause"], g["open"])
                for g in office.central.api.get("/api/v1/gaps")["gaps"] if g["epoch"] == epoch_of("8")]
    # The ledger is shown anew each second: what the test before filled may stand there still.
    wait_until(lambda: f"this gap alone, not {look()}",
               lambda: look() == [("e1", "t", 13, 19, "on_the_way", True)])


def test_a_loss_fills_the_hole_with_its_cause(office):
    records = Records("e1", epoch_of("9"), "lossy")
    birth, name = records.birth(("v.x", "x"))
    send(office, records, "birth", birth)
    first = records.data(name, [0], [1])
    records.seq["t"] = 9
    records.total += 17
    last = records.data(name, [0], [2])
    send(office, records, "data", first)
    send(office, records, "data", last)
    records.total -= 17  # the loss adds them to its account
    send(office, records, "event", records.loss("t", 2, 9, 17))
    assert receipted(office, records, "t")["streams"]["t"]["through"] == 10

    def look():
        return [g for g in office.central.api.get("/api/v1/gaps")["gaps"] if g["epoch"] == records.epoch]
    gaps = wait_until("the loss on the ledger", lambda: [g for g in look() if not g["open"]] and look())
    assert [(g["stream"], g["first"], g["last"], g["points"], g["cause"], g["open"]) for g in gaps] == [
        ("t", 2, 9, 17, "space", False)]


def test_an_edge_that_announces_more_than_came_has_a_hole_at_its_end(office):
    records = Records("e2", epoch_of("a"), "behind")
    birth, name = records.birth(("v.x", "x"))
    send(office, records, "birth", birth)
    send(office, records, "data", records.data(name, [0], [1]))
    records.seq["t"], records.total = 5, 9
    send(office, records, "state", records.state())

    def look():
        return [(g["first"], g["last"], g["open"]) for g in office.central.api.get("/api/v1/gaps")["gaps"]
                if g["epoch"] == records.epoch and g["stream"] == "t"]
    assert wait_until("the hole", look) == [(2, 5, True)]
    edge = next(e for e in office.central.api.get("/api/v1/edges")["edges"] if e["edge"] == "e2")
    assert edge["records_missing"] == 4 and edge["state"] == "up" and edge["samples_appended"] == 9
    assert edge["samples_received"] == 1
    send(office, records, "state", records.state(up=False))
    wait_until("the edge to be down", lambda: next(e for e in office.central.api.get("/api/v1/edges")["edges"]
                                                   if e["edge"] == "e2")["state"] == "down")


def test_two_epochs_of_one_edge_are_kept_apart(office):
    one, two = Records("e1", epoch_of("b"), "epochs"), Records("e1", epoch_of("c"), "epochs")
    for records, value in ((one, 1.0), (two, 2.0)):
        birth, name = records.birth(("v.x", "x"))
        send(office, records, "birth", birth)
        send(office, records, "data", records.data(name, [0], [value], t0=now_ms() - 5000 + int(value)))
        receipted(office, records, "t")
    wait_until("both values", lambda: sum(b["count"] for b in history(office, "epochs.v.x", width=1)["buckets"]) == 2)


def test_after_kill_9_all_that_was_receipted_is_there(office):
    records = Records("e1", epoch_of("d"), "durable")
    birth, name = records.birth(("v.x", "x"))
    send(office, records, "birth", birth)
    for number in range(50):
        send(office, records, "data", records.data(name, [0], [float(number)], t0=now_ms() - 10_000 + number))
    receipted(office, records, "t")
    office.central.kill()
    office.central.start()
    office.central.api.cookie = None
    wait_until("all fifty", lambda: sum(b["count"] for b in history(office, "durable.v.x", width=1)["buckets"]) == 50)
    # A new run says by itself what it has, when the edge speaks.
    since = len(office.clients["e1"].messages)
    wait_until("the centre to be connected", lambda: office.central.metric("chengmai_broker_connected") == 1)

    def told():
        send(office, records, "state", records.state())
        return [m for m in office.clients["e1"].messages[since:] if m.topic == topic("e1", "receipt")
                and m.json()["epoch"] == records.epoch]
    receipt = wait_until("a receipt of the new run", told, every=0.3)[0].json()
    assert receipt["streams"]["t"]["through"] == 50
    before = office.central.metric("chengmai_duplicates_total")
    send(office, records, "birth", birth)
    wait_until("the known birth to be a duplicate", lambda: office.central.metric(
        "chengmai_duplicates_total") == before + 1)


def test_a_clean_stop_is_zero_and_said(office):
    client = office.clients["e1"]
    assert office.central.stop() == 0
    client.wait_message("the centre's last word", lambda m: m.topic.endswith("central/c1/state") and not m.json()["up"])
