"""An edge whose journal is as small as it may be, and a long time without a broker: what goes, goes in
order, is named before it goes, and the books are balanced.

Before the broker goes, receipts no longer reach the edge: some of what it drops has arrived, and it cannot know.
"""

import json
import signal

import pytest

import county as counties
import harness
import slaves
from harness import tcp_link, wait_until

POINTS = 100  # of each class, ten times a second: a segment a second


@pytest.fixture(scope="module")
def full(module_place):
    place = module_place
    slave = place.add(slaves.Slave())
    unit = slave.unit(1)
    rows = slaves.HEADER
    for number in range(POINTS):
        rows += f"v{number},3,{2 * number},float32,ABCD,1,0,x,ro,\n"
        unit.put(3, 2 * number, slaves.words(1.0 + number / 7, "float32", "ABCD"))
    (place.folder / "many.csv").write_text(rows, "utf-8")
    slave.start()
    full = type("Full", (), {})()
    full.place = place
    full.broker = place.broker().start()
    full.central = place.central(full.broker).start()
    units = [f'{{unit: 1, map: "{place.folder}/many.csv", name: {name}, interval: {interval}, class: {name}}}'
             for name, interval in (("trend", "50ms"), ("compliance", "100ms"), ("safety", "200ms"))]
    full.edge = place.edge(full.broker, "e1", tcp_link("plc", slave.port, *units), size="1MiB",
                           more="drain: 60s\n")
    full.edges = {"e1": full.edge}
    full.edge.start()
    wait_until("samples to be stored", lambda: (full.central.metric("chengmai_samples_stored_total") or 0) > 5000)
    allowed = full.broker.acl.read_text("utf-8")
    full.broker.acl.write_text(allowed.replace("pattern read chengmai/v1/%u/receipt\n", ""), "utf-8")
    since = full.broker.mark()
    full.broker.signal(signal.SIGHUP)
    full.broker.wait_line("ACL pattern .* does not contain", since=since)  # it has read it anew
    stored = full.central.metric("chengmai_samples_stored_total")
    wait_until("samples whose receipt is lost", lambda: full.central.metric(
        "chengmai_samples_stored_total") > stored + 5000)
    full.broker.kill()
    full.broker.acl.write_text(allowed, "utf-8")
    # Said at once, and again after ten seconds: in between some more segments have gone.
    full.edge.wait_line(r"full: dropped.* more in \d+ s", 120)
    return full


def test_it_says_what_it_dropped_and_what_to_do_and_does_not_say_it_all_the_time(full):
    lines = [line for line in full.edge.log().splitlines() if "full: dropped" in line]
    assert all("loss record" in line and "journal.size" in line for line in lines)
    assert len(lines) == 2, lines


def test_it_stays_within_its_size(full):
    used = sum(path.stat().st_blocks * 512 for path in full.edge.journal.rglob("*") if path.is_file())
    assert used <= 1.5 * 1024 * 1024


def test_it_still_reads_and_keeps(full):
    county = type("One", (), {"edges": full.edges})
    counties.County.wait_appended(county, full.edge)
    assert full.edge.alive()


def test_when_the_broker_comes_every_loss_is_on_the_ledger_and_the_books_are_balanced(full):
    full.broker.start()
    wait_until("the losses on the ledger", lambda: [
        g for g in full.central.api.get("/api/v1/gaps")["gaps"] if g["cause"] == "space"], 60, 0.3)
    assert full.edge.stop(120) == 0
    full.central.wait_readers()
    gaps = full.central.api.get("/api/v1/gaps")["gaps"]
    assert full.central.stop() == 0
    full.gaps = gaps
    full.books = counties.Books(full)
    assert full.books.missing == 0, full.books
    assert full.books.ledger > 0
    space = [gap for gap in gaps if gap["cause"] == "space"]
    told = sum(gap["points"] for gap in space)
    assert full.books.ledger <= told, "of what an edge tells as lost, some had arrived"
    assert told - full.books.ledger <= full.books.stored
    assert not [gap for gap in gaps if gap["open"]]


def test_trend_went_first_and_the_births_never(full):
    space = [gap for gap in full.gaps if gap["cause"] == "space"]
    lost = {letter: sum(gap["points"] for gap in space if gap["stream"] == letter) for letter in "asct"}
    assert lost["t"] > 0 and lost["a"] == 0
    assert lost["t"] >= lost["c"] >= lost["s"]
    if lost["s"]:
        assert lost["c"]


def test_each_loss_says_when_and_how_much(full):
    for gap in (gap for gap in full.gaps if gap["cause"] == "space"):
        assert gap["points"] > 0 and gap["first"] <= gap["last"]
        assert gap["from"] and gap["from"] <= gap["to"]


def test_each_number_is_there_or_named(full):
    """By what the centre has: each range that is not there is named by a record that is."""
    there = {letter: set() for letter in "asct"}
    named = {letter: set() for letter in "asct"}
    for line in counties.dump(full.central.data / "journal"):
        record = json.loads(line)
        if record["kind"] in ("birth", "data", "loss"):
            there[record["stream"]].add(record["seq"])
        if record["kind"] == "loss":
            named[record["of"]] |= set(range(record["first"], record["last"] + 1))
    for letter in "asct":
        if there[letter]:
            missing = set(range(1, max(there[letter]) + 1)) - there[letter]
            assert missing <= named[letter], letter
    assert there["t"] & named["t"], "the case of this test: the edge dropped what had arrived"


def test_the_journal_is_whole(full):
    answer = harness.run("chengmai", "journal", "verify", full.edge.journal)
    assert answer.returncode in (0, 1)
    assert "damage" not in answer.stdout + answer.stderr, "reused space is missing, nothing is damaged"
