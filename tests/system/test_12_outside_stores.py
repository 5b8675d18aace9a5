"""Stores outside the centre: they come to have what the embedded store has, whatever happens to them."""

import json
import re

import pytest

import harness
from hand import Records
from harness import now_ms, topic, wait_until
from stores import InfluxDb, StubStore, VictoriaMetrics, ask, close, embedded_samples

DAY = 86_400_000


def epoch_of(letter):
    return letter * 32


class Office:
    """A broker, a centre with stores, and a client with the certificate of edge e1."""

    def __init__(self, place, *stores, name="central"):
        self.broker = place.broker().start()
        self.central = place.central(self.broker, stores=stores, name=name).start()
        self.names = re.findall(r"name: (\w+)", " ".join(stores))
        self.client = place.client(self.broker, "e1")
        self.total = 0
        self.wait_connected()

    def wait_connected(self):
        wait_until("the centre to be connected", lambda: self.central.metric("chengmai_broker_connected") == 1)

    def send(self, kind, payload):
        """Again until somebody listens: a centre that has just connected has yet to subscribe."""
        def publish():
            reason = self.client.publish(topic("e1", kind), payload)
            assert reason < 128
            return reason == 0
        wait_until("somebody to listen", publish)

    def birth(self, records, *points):
        payload, name = records.birth(*points)
        self.send("birth", payload)
        return name

    def data(self, records, name, ids, values, **more):
        self.send("data", records.data(name, ids, values, **more))
        self.total += len(ids)

    def wait_embedded(self):
        """Until all that was sent is in the embedded store."""
        wait_until(lambda: f"{self.total} stored samples; there are {self.central.metrics()}",
                   lambda: self.central.metric("chengmai_samples_stored_total") == self.total)

    def stored(self):
        """Waits until every store has taken all that was sent; what is in the embedded one."""
        self.wait_embedded()
        self.central.wait_readers(*self.names)
        return embedded_samples(self.central)

    def figure(self, name, store):
        return self.central.metric(f'chengmai_store_{name}{{store="{store}"}}')

    def causes(self):
        return self.central.api.ask("GET", "/api/v1/health").json()["causes"]


@pytest.fixture(scope="module")
def stores(module_place):
    folder = module_place.folder
    made = [InfluxDb(folder), VictoriaMetrics(folder), VictoriaMetrics(folder, "second")]
    return [module_place.add(store).start() for store in made]


@pytest.fixture(scope="module")
def office(module_place, stores):
    influx, victoria, second = stores
    return Office(module_place, "{kind: embedded}", influx.yaml(), victoria.yaml(),
                  second.yaml("influxdb2", ", bucket: chengmai, org: bureau"))


def wait_counts(stores, total):
    for store in stores:
        wait_until(lambda store=store: f"{total} samples in {store.name}; it has {store.count()}",
                   lambda store=store: store.count() == total, 90, 0.2)


def is_same(wanted, found, with_text=True):
    """Sample for sample; a store without text has the quality of a text alone."""
    return len(wanted) == len(found) and all(
        a[0] == b[0] and close(a[1], b[1]) and (a[2] == b[2] or not with_text) and a[3] == b[3]
        for a, b in zip(wanted, found))


def test_the_database_was_made(office, stores):
    records = Records("e1", epoch_of("0"), "first")
    name = office.birth(records, ("v.x", "x"))
    office.data(records, name, [0], [1.5], t0=now_ms() - 1000)
    office.stored()
    influx = stores[0]
    assert ["chengmai"] in influx.query("SHOW DATABASES", "")[0]["values"]
    wait_until("the first sample", lambda: influx.count() == 1)


def test_every_sample_is_in_every_store(office, stores):
    """Numbers, bad ones, none, texts, whole numbers beyond 2^53, odd units: with time and quality."""
    records = Records("e1", epoch_of("1"), "fine")
    name = office.birth(records, ("v.x", "mg/L"), ("v.y", "m3 = a,b\\"), ("v.text", ""), ("v.z", "℃"),
                        ("v.large", "x"), ("v.small", "x"))
    t0 = now_ms() - 100_000
    values = [0.1, -1e-5, 123456.789, 0, -0.5, 16777217, 21.64, 3.3333333333333335]
    office.data(records, name, [0] * 8, values, t0=t0, dt=[i * 1000 for i in range(8)])
    # VictoriaMetrics keeps the numbers of a block with one exponent: these stand in series of their own.
    office.data(records, name, [4, 5, 5], [1e300, 9e-300, -1e-300], t0=t0, dt=[0, 0, 1])
    office.data(records, name, [1, 1, 1, 1], [7.42, None, None, 3.5], t0=t0, dt=[1, 2, 3, 4],
                                     q=[0, 513, 769, 261])
    texts = ["9007199254740993", 'say "a\\b", c=d', "阀门 开", ""]
    office.data(records, name, [2] * 4, texts, t0=t0, dt=[0, 1000, 2000, 3000], q=[0, 0, 256, 0])
    office.data(records, name, [3, 3], [21.64, 21.7], t0=t0 - 40 * DAY, dt=[0, 10])
    wanted = office.stored()
    assert len(wanted["fine.v.text"]) == 4 and len(wanted["fine.v.y"]) == 4
    wait_counts(stores, sum(map(len, wanted.values())))
    for store in stores:
        found = store.samples()
        for point, rows in wanted.items():
            assert is_same(rows, found[point], store is stores[0]), f"{store.name} {point}: {rows} {found[point]}"
    tags = stores[0].query("SHOW SERIES")[0]["values"]
    assert ["chengmai,point=fine.v.y,site=fine,unit=m3\\ \\=\\ a\\,b_"] in tags
    labels = [dict(key) for key in stores[1].series("chengmai_q")]
    assert {"point": "fine.v.y", "site": "fine", "unit": "m3 = a,b_"} in labels
    assert {"point": "fine.v.text", "site": "fine"} in labels
    types = {tuple(row) for row in stores[0].query("SHOW FIELD KEYS FROM chengmai")[0]["values"]}
    assert types == {("q", "integer"), ("text", "string"), ("value", "float")}


def test_equal_stamps_are_all_kept(office, stores):
    """In one record, in the next one, and after a clock that went back a little."""
    records = Records("e1", epoch_of("2"), "ties")
    name = office.birth(records, ("v.x", "x"))
    t0 = now_ms() - 50_000
    office.data(records, name, [0] * 4, [1, 2, 3, 4], t0=t0, dt=[0, 0, 1, 500])
    office.data(records, name, [0] * 3, [5, 6, 7], t0=t0, dt=[500, 1000, 1000])
    office.data(records, name, [0] * 2, [8, 9], t0=t0, dt=[0, 500])
    assert [row[:2] for row in office.stored()["ties.v.x"]] == [
        (t0, 1), (t0, 2), (t0, 8), (t0 + 1, 3), (t0 + 500, 4), (t0 + 500, 5), (t0 + 500, 9), (t0 + 1000, 6),
        (t0 + 1000, 7)]
    wait_counts(stores, office.total)
    for store in stores:
        assert [row[:2] for row in store.samples()["ties.v.x"]] == [
            (t0, 1), (t0 + 1, 2), (t0 + 2, 3), (t0 + 3, 8), (t0 + 500, 4), (t0 + 501, 5), (t0 + 502, 9),
            (t0 + 1000, 6), (t0 + 1001, 7)]
        assert office.figure("moved_stamps_total", store.name) >= 6
        assert office.figure("dead_letters_total", store.name) == 0


def test_a_clock_set_back_overwrites_nothing(office, stores):
    """Whole minutes, as devices tell them, then half an hour of them again."""
    records = Records("e1", epoch_of("8"), "back")
    name = office.birth(records, ("v.x", "x"))
    t0 = now_ms() // 60_000 * 60_000 - DAY
    for number, first in enumerate((0, 30)):
        office.data(records, name, [0] * 60, [number + minute / 1000 for minute in range(60)], t0=t0,
                    dt=[(first + minute) * 60_000 for minute in range(60)])
    wanted = office.stored()["back.v.x"]
    wait_counts(stores, office.total)
    times = [t0 + minute * 60_000 + again for minute in range(90) for again in range(2 if 30 <= minute < 60 else 1)]
    for store in stores:
        found = store.samples()["back.v.x"]
        assert [row[0] for row in found] == times
        assert [row[1] for row in found] == [row[1] for row in wanted]


def test_a_poisoned_line_is_set_aside_and_the_rest_arrives(office, stores):
    """A text where numbers must be, in one week of InfluxDB's: only what falls into that week is refused."""
    influx = stores[0]
    poisoned = now_ms() - 300 * DAY
    assert influx.write(f'chengmai,point=foreign value="text" {poisoned}')[0] == 204
    records = Records("e1", epoch_of("3"), "poison")
    name = office.birth(records, ("v.x", "x"))
    t0 = now_ms() - 40_000
    ids, values = [0] * 200, [float(i) for i in range(200)]
    times = [t0 + i for i in range(200)]
    times[7] = times[100] = poisoned
    times[100] += 1
    office.data(records, name, ids, values, t0=t0, dt=[t - t0 for t in times])
    office.stored()
    assert office.figure("dead_letters_total", "influxdb") == 2
    wait_counts([influx], office.total - 2)
    wait_counts(stores[1:], office.total)
    letters = [json.loads(line) for line in
               (office.central.data / "target-influxdb.dead-letters.jsonl").read_text("utf-8").splitlines()]
    assert [letter["topic"] for letter in letters] == ["influxdb", "influxdb"]
    lines = sorted(bytes.fromhex(letter["payload_hex"]).decode() for letter in letters)
    assert lines == [f"chengmai,point=poison.v.x,site=poison,unit=x value={value},q=0i {t}"
                     for value, t in ((100, poisoned + 1), (7, poisoned))]
    assert all("field type conflict" in letter["reason"] for letter in letters)
    assert "set aside" in office.central.log()
    assert influx.query(f"DELETE FROM chengmai WHERE time = {poisoned}ms") == []


def test_a_time_that_no_store_can_keep_is_set_aside(office, stores):
    records = Records("e1", epoch_of("4"), "future")
    name = office.birth(records, ("v.x", "x"))
    counts = [store.count() for store in stores]
    letters = [office.figure("dead_letters_total", store.name) for store in stores]
    beyond = 9_300_000_000_000  # 2264
    office.data(records, name, [0, 0], [1, 2], t0=now_ms(), dt=[0, beyond - now_ms()])
    office.stored()
    for store, count, letter in zip(stores, counts, letters):
        wait_until(f"one more in {store.name}", lambda store=store, count=count: store.count() == count + 1)
        assert office.figure("dead_letters_total", store.name) == letter + 1


def test_a_store_that_is_away_is_named_and_catches_up(office, stores):
    wait_until("all to be well", lambda: office.causes() == [])
    records = Records("e1", epoch_of("5"), "away")
    name = office.birth(records, ("v.x", "x"))
    for store in stores:
        count = store.count()
        store.stop()  # nothing is forgotten
        office.data(records, name, [0], [2.5], t0=now_ms())
        wait_until("the cause", lambda store=store: office.causes() == [f"store_unavailable:{store.name}"])
        answer = office.central.api.ask("GET", "/api/v1/health")
        assert answer.status == 200 and answer.json()["status"] == "strained"
        assert office.figure("up", store.name) == 0
        others = [other.name for other in stores if other is not store]
        office.central.wait_readers(*others)
        store.start()
        wait_until(f"{store.name} to be well", lambda: office.causes() == [], 90)
        office.stored()
        wait_until("the sample", lambda store=store, count=count: (store.count() or 0) >= count + 1, 60)
        assert office.figure("up", store.name) == 1


def test_kill_9_of_each_store_loses_nothing(office, stores):
    """VictoriaMetrics forgets its last seconds each time, and is told again."""
    records = Records("e1", epoch_of("6"), "killed")
    name = office.birth(records, ("v.x", "x"), ("v.y", "y"))
    sent = 0
    counts = [store.count() for store in stores]
    victims = stores[:2]  # the last one does not say since when it runs
    rewinds = [office.figure("rewinds_total", store.name) for store in victims]
    for _ in range(3):
        for victim in victims:
            for _ in range(5):
                office.data(records, name, [0, 1] * 20, [float(sent + i) for i in range(40)],
                                                 t0=now_ms() - 1000, dt=[i // 2 for i in range(40)])
                sent += 40
            office.wait_embedded()
            office.central.wait_readers(victim.name)
            victim.restart()
    office.stored()
    for store, count in zip(stores, counts):
        wait_until(lambda store=store, count=count: f"{count + sent} in {store.name}; it has {store.count()}",
                   lambda store=store, count=count: store.count() == count + sent, 90, 0.2)
    for store, before in zip(victims, rewinds):
        assert office.figure("rewinds_total", store.name) >= before + 1
    found = {point: [row[1] for row in rows] for point, rows in office.stored().items()}
    for store in stores:
        for point in ("killed.v.x", "killed.v.y"):
            assert sorted(row[1] for row in store.samples()[point]) == sorted(found[point])


def test_kill_9_of_the_centre_loses_nothing(office, stores):
    records = Records("e1", epoch_of("7"), "centre")
    name = office.birth(records, ("v.x", "x"))
    counts = [store.count() for store in stores]
    for number in range(10):
        office.data(records, name, [0, 0], [number, number + 0.5], t0=now_ms() - 5000 + number)
        if number % 3 == 2:
            office.wait_embedded()  # journaled, and just on its way to the others
            office.central.kill()
            office.central.start()
            office.central.api.cookie = None
            office.wait_connected()
    wanted = office.stored()["centre.v.x"]
    for store, count in zip(stores, counts):
        wait_until(f"twenty more in {store.name}", lambda store=store, count=count: store.count() == count + 20, 60)
        assert sorted(row[1] for row in store.samples()["centre.v.x"]) == sorted(row[1] for row in wanted)


def test_the_books_want_both_stores_to_be_complete(office, module_place):
    """The last test of this centre: it is stopped."""
    total = sum(map(len, office.stored().values()))
    assert office.central.stop() == 0
    journal = module_place.folder / "no-journal"
    journal.mkdir()

    def books(*more):
        return harness.run("chengmai", "books", "--central", office.central.data, *more, journal)
    assert f"stored {total}, " in books().stdout
    same = books("--stored", total)
    assert f"stored {total}, " in same.stdout and same.stderr == ""
    less = books("--stored", total - 1)
    assert f"stored {total - 1}, " in less.stdout and less.returncode == 1
    assert f"the embedded store has {total} samples, the outside one {total - 1}" in less.stderr
    assert books("--stored", "many").returncode == 2


def test_a_dropped_database_is_filled_again(place):
    influx = place.add(InfluxDb(place.folder)).start()
    office = Office(place, influx.yaml())
    records = Records("e1", epoch_of("1"), "dropped")
    name = office.birth(records, ("v.x", "x"))
    office.data(records, name, [0] * 20, [float(i) for i in range(20)], t0=now_ms() - 1000, dt=list(range(20)))
    office.stored()
    wait_counts([influx], 20)
    influx.query("DROP DATABASE chengmai", "")
    office.data(records, name, [0], [20.0], t0=now_ms())
    wait_counts([influx], 21)
    office.central.wait_line(r"influxdb lacks its database: everything is written again")


def test_a_wrong_password_holds_and_is_mended_while_running(place):
    influx = place.add(InfluxDb(place.folder, auth=True)).start()
    influx.query("CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES", "")
    influx.user = ("admin", "secret")
    password = place.folder / "influx.password"
    password.write_text("wrong\n")
    office = Office(place, influx.yaml(f', user: writer, password_file: "{password}"'))
    records = Records("e1", epoch_of("1"), "held")
    name = office.birth(records, ("v.x", "x"))
    office.data(records, name, [0], [1.0], t0=now_ms())
    office.central.wait_line(r"influxdb is held up.*authorization failed.*password_file")
    wait_until("the cause", lambda: office.causes() == ["store_denied:influxdb"])
    assert office.figure("up", "influxdb") == 0 and office.figure("lag_records", "influxdb") > 0
    office.wait_embedded()
    # The password is right, and the user may not make the database: that is another matter.
    influx.query("CREATE USER writer WITH PASSWORD 'pass-2-word'", "")
    password.write_text("pass-2-word\n")
    office.central.wait_line(r"influxdb is held up.*GRANT ALL", 70)
    wait_until("the cause", lambda: office.causes() == ["store_no_database:influxdb"])
    influx.query("CREATE DATABASE chengmai", "")
    influx.query("GRANT ALL ON chengmai TO writer", "")
    wait_until("the sample", lambda: influx.count() == 1, 90)
    wait_until("it to be well", lambda: office.causes() == [])
    assert "pass-2-word" not in office.central.log()


def test_a_password_that_changes_is_read_again(place):
    """VictoriaMetrics shows nothing at all without it, not even since when it runs."""
    victoria = place.add(VictoriaMetrics(place.folder))
    plain = victoria.command
    password = place.folder / "vm.password"
    office = Office(place, victoria.yaml(more=f', user: writer, password_file: "{password}"'))
    records = Records("e1", epoch_of("1"), "changed")
    name = office.birth(records, ("v.x", "x"))
    for number, word in enumerate(("first-word", "second-word")):
        victoria.kill()
        victoria.command = [*plain, "-httpAuth.username=writer", f"-httpAuth.password={word}"]
        victoria.start()
        office.data(records, name, [0], [number + 0.5], t0=now_ms())
        wait_until("the cause", lambda: office.causes() == ["store_denied:victoriametrics"], 30)
        password.write_text(word)
        office.stored()
        wait_until("it to be well", lambda: office.causes() == [])
    office.central.wait_line(r"victoriametrics was restarted", 30)
    office.stored()
    victoria.kill()
    victoria.command = plain
    victoria.start()
    wait_until("both samples", lambda: victoria.count() == 2, 30)


@pytest.fixture
def stub(place):
    return place.add(StubStore())


def stub_office(place, stub, more=""):
    return Office(place, f'{{kind: influxdb2, name: stub, url: "http://127.0.0.1:{stub.port}", org: "城 管", '
                         f'bucket: b/1{more}}}')


def send_some(office, letter, count, site="stub"):
    records = Records("e1", epoch_of(letter), site)
    name = office.birth(records, ("v.x", "x"))
    t0 = now_ms() - 10_000
    office.data(records, name, [0] * count, [float(i) for i in range(count)], t0=t0,
                                     dt=list(range(count)))
    return t0


def test_a_token_is_sent_and_busy_is_waited_for(place, stub):
    token = place.folder / "token"
    token.write_text("t0k=en\n")
    stub.script = [(429, {"Retry-After": "1"}, "slowly"), (503, {}, ""), (500, {}, "")]
    office = stub_office(place, stub, f', token_file: "{token}"')
    send_some(office, "1", 30)
    office.stored()
    paths = {path for path, _, _ in stub.requests}
    assert paths == {"/api/v2/write?precision=ms&org=%E5%9F%8E%20%E7%AE%A1&bucket=b%2F1"}
    assert {headers["Authorization"] for _, headers, _ in stub.requests} == {"Token t0k=en"}
    first, *again, last = [body for _, _, body in stub.requests]
    assert len(again) == 2 and len(last.splitlines()) == 30
    assert all(set(body.splitlines()) <= set(last.splitlines()) for body in (first, *again)), "the whole batch again"


def test_too_large_a_batch_is_halved(place, stub):
    stub.refuse = lambda body: (413, {}, "") if len(body.splitlines()) > 8 else None
    office = stub_office(place, stub)
    t0 = send_some(office, "1", 30)
    office.stored()
    assert stub.taken == {f"chengmai,point=stub.v.x,site=stub,unit=x value={i},q=0i {t0 + i}" for i in range(30)}
    assert office.figure("dead_letters_total", "stub") == 0


def test_a_store_that_takes_nothing_is_held_and_nothing_is_set_aside(place, stub):
    stub.refuse = lambda body: (400, {}, '{"error":"no"}')
    office = stub_office(place, stub)
    send_some(office, "1", 30)
    wait_until("the cause", lambda: office.causes() == ["store_takes_nothing:stub"])
    assert office.figure("dead_letters_total", "stub") == 0
    stub.refuse = lambda body: None
    office.stored()
    assert office.figure("dead_letters_total", "stub") == 0
    assert len(stub.taken) == 30


def test_a_hanging_store_delays_nobody_and_no_stop(place, stub):
    stub.script = ["hang"] * 100
    office = stub_office(place, stub)
    send_some(office, "1", 30)
    wait_until("a write", lambda: stub.requests)
    office.wait_embedded()
    send_some(office, "2", 30, "later")
    office.wait_embedded()
    wait_until("another write", lambda: len(stub.requests) >= 2, 30)
    assert office.central.stop(15) == 0


def test_a_missing_bucket_is_told(place, stub):
    stub.refuse = lambda body: (404, {}, '{"code":"not found","message":"bucket \\"b/1\\" not found"}')
    office = stub_office(place, stub)
    send_some(office, "1", 3)
    office.central.wait_line(r'stub is held up.*bucket \\"b/1\\" not found.*make the bucket')
    assert office.causes() == ["store_no_database:stub"]


def test_a_real_store_says_what_it_throws_away(place):
    """Older than its retention: VictoriaMetrics says yes, and its own figures say no."""
    victoria = place.add(VictoriaMetrics(place.folder))
    victoria.command = [part.replace("100y", "1y") for part in victoria.command]
    victoria.start()
    office = Office(place, victoria.yaml())
    records = Records("e1", epoch_of("1"), "old")
    name = office.birth(records, ("v.x", "x"))
    office.data(records, name, [0], [1.0], t0=now_ms())
    office.stored()
    office.data(records, name, [0], [1.0], t0=now_ms() - 900 * DAY)
    wait_until("it to be told", lambda: office.figure("thrown_away_total", "victoriametrics") == 2, 30)
    office.central.wait_line(r"says yes to rows and does not keep them, 2 since the start")
    assert ask(victoria.port, "GET", "/health")[0] == 200
