"""A disk that went back in time, an edge's or the centre's: no number gets a second meaning, and what
either side still has comes back."""

import json
import shutil

import pytest

import county as counties
import harness
import slaves
from harness import tcp_link, wait_until


@pytest.fixture
def small(place):
    """An edge with one device, a broker, a centre."""
    small = type("Small", (), {})()
    slave = place.add(slaves.Slave())
    slave.unit(1).put(3, 0, [7])
    (place.folder / "one.csv").write_text(slaves.HEADER + "v,3,0,uint16,AB,1,0,x,ro,\n", "utf-8")
    small.slave = slave.start()
    small.broker = place.broker().start()
    small.central = place.central(small.broker).start()
    small.edge = place.edge(small.broker, "e1", tcp_link(
        "plc", slave.port, f'{{unit: 1, map: "{place.folder}/one.csv", name: u, interval: 100ms, class: safety}}'),
        more="drain: 60s\n")
    small.edges = {"e1": small.edge}
    return small


def stored(small):
    return small.central.metric("chengmai_samples_stored_total") or 0


def wait_stored(small, more):
    wait_until("the centre to answer", lambda: small.central.metric("chengmai_samples_stored_total") is not None)
    before = stored(small)
    wait_until(f"{more} more samples", lambda: stored(small) >= before + more, 60)


def copy(folder):
    shutil.copytree(folder, str(folder) + ".backup")


def restore(folder):
    shutil.rmtree(folder)
    shutil.copytree(str(folder) + ".backup", folder)


def records(folder, kinds=("birth", "data", "loss")):
    return [(line, record) for line in counties.dump(folder)
            for record in [json.loads(line)] if record["kind"] in kinds]


def finish(small):
    assert small.edge.stop(120) == 0
    small.central.wait_readers()
    assert small.central.stop() == 0


def test_an_edge_with_a_restored_disk_begins_a_new_epoch(small):
    """Its old numbers are taken: under them the centre has other contents."""
    small.edge.start()
    wait_stored(small, 10)
    assert small.edge.stop(60) == 0
    copy(small.edge.journal)
    small.edge.start()
    wait_stored(small, 20)
    small.edge.kill()
    restore(small.edge.journal)
    small.edge.start()
    small.edge.wait_line("restored from a backup.* new epoch begins")
    small.edge.wait_line(r"new epoch [0-9a-f]{32}")
    wait_stored(small, 20)
    finish(small)
    arrived = records(small.central.data / "journal")
    assert len({record["epoch"] for _, record in arrived}) == 2
    contents = {}
    for line, record in arrived:
        key = (record["epoch"], record["stream"], record["seq"])
        assert contents.setdefault(key, line) == line
    # What this run read before it knew better is recorded anew: nothing in its journals is missing.
    kept = {line for line, record in records(small.edge.journal) if record["kind"] == "data"}
    newest = max(record["t0"] for _, record in arrived)
    assert any(json.loads(line)["t0"] >= newest - 1000 for line in kept)


def test_a_centre_with_a_restored_disk_is_refilled_by_its_edges(small):
    """A receipt allows reuse of space, so what it names is mostly still there."""
    small.edge.start()
    wait_stored(small, 10)
    assert small.central.stop() == 0
    copy(small.central.data)
    small.central.start()
    wait_stored(small, 60)
    small.central.kill()
    restore(small.central.data)
    small.central.start()
    wait_stored(small, 20)
    finish(small)
    books = counties.Books(small)
    assert books.missing == 0, books
    assert books.read == books.stored


def test_a_centre_that_lost_its_disk_is_refilled_by_its_edges(small):
    small.edge.start()
    wait_stored(small, 60)
    small.central.kill()
    shutil.rmtree(small.central.data)
    small.central.start()
    wait_stored(small, 20)
    finish(small)
    books = counties.Books(small)
    assert books.missing == 0, books
    assert books.read == books.stored and books.stored >= 60


def test_an_edge_that_lost_its_disk_begins_anew_and_the_old_stays(small):
    small.edge.start()
    wait_stored(small, 10)
    small.edge.kill()
    before = records(small.central.data / "journal") if small.central.stop() == 0 else None
    small.central.start()
    shutil.rmtree(small.edge.journal)
    small.edge.start()
    wait_stored(small, 10)
    finish(small)
    after = records(small.central.data / "journal")
    assert after[:len(before)] == before
    assert len({record["epoch"] for _, record in after}) == 2


def test_two_edges_of_one_name_do_not_mix(small, place):
    """A copied gateway: both have the certificate, so the broker keeps one of them connected at a
    time; what arrives of each is its own epoch."""
    small.edge.start()
    wait_stored(small, 5)
    twin = harness.Edge(place.folder, small.broker, "e1", tcp_link(
        "plc", small.slave.port, f'{{unit: 1, map: "{place.folder}/one.csv", name: u, interval: 100ms, class: safety}}'),
        more="drain: 0s\n")
    twin.name, twin.log_path = "twin", place.folder / "twin.log"
    twin.config = place.folder / "twin.yaml"
    twin.config.write_text((place.folder / "e1.yaml").read_text("utf-8").replace("e1-journal", "twin-journal"), "utf-8")
    twin.command[-1] = "twin.yaml"
    place.add(twin).start()

    def epochs():
        return {e["epoch"] for e in small.central.api.get("/api/v1/edges")["edges"] if e["edge"] == "e1"}
    seen = set()
    wait_until("both to have been seen", lambda: seen.update(epochs()) or len(seen) == 2, 60)
    twin.kill()
    small.central.wait_readers()
    finish(small)
    contents = {}
    for line, record in records(small.central.data / "journal"):
        key = (record["epoch"], record["stream"], record["seq"])
        assert contents.setdefault(key, line) == line
