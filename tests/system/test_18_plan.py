"""The plan of reads, against slaves nobody here wrote: holes are learned and remembered, a bus that cannot be is refused."""

import harness
import slaves
from harness import tcp_link, wait_until
from slaves import Slave, words

ROWS = slaves.HEADER + "".join(f"{name},3,{address},float32,ABCD,1,0,x,ro,\n"
                               for name, address in (("a", 0), ("b", 2), ("c", 10)))


def field(place, unit_keys="interval: 200ms"):
    """A slave without registers 4 to 9, and an edge that would read across them."""
    slave = place.add(Slave())
    unit = slave.unit(1)
    for address, value in ((0, 1.5), (2, -2.25), (10, 7.75)):
        unit.put(3, address, words(value, "float32", "ABCD"))
    slave.start()
    (place.folder / "m.csv").write_text(ROWS, "utf-8")
    link = tcp_link("plc", slave.port, f'{{unit: 1, map: "{place.folder}/m.csv", name: u, {unit_keys}}}')
    return unit, link


def asked(unit):
    return {(address, count) for _, address, count in list(unit.asked)}


def test_a_refused_hole_is_learned_and_remembered(place):
    unit, link = field(place)
    broker = place.broker().start()
    centre = place.centre_by_hand(broker)
    edge = place.edge(broker, "e1", link, site="s").start()
    holes = place.folder / "e1-journal.holes"
    wait_until("the hole to be remembered", holes.exists)
    lines = holes.read_text().splitlines()
    assert lines[0] == "chengmai holes 1" and len(lines) == 2
    assert lines[1].startswith("plc 1 ") and lines[1].endswith(" 3 4 10")
    assert (0, 12) in asked(unit)
    for name, value in (("a", 1.5), ("b", -2.25), ("c", 7.75)):
        assert centre.wait_sample("e1", f"s.u.{name}")[2:4] == (value, "good")
    assert edge.stop() == 0
    unit.asked.clear()
    edge.start()
    wait_until("both parts to be read", lambda: {(0, 4), (10, 2)} <= asked(unit))
    assert asked(unit) == {(0, 4), (10, 2)}
    plan = harness.run("chengmai", "plan", edge.config)
    assert plan.returncode == 0 and "function 3, 10 to 11" in plan.stdout
    # A damaged file costs a few requests, and is told.
    assert edge.stop() == 0
    holes.write_text("chengmai holes 1\nrubbish\n")
    since = edge.mark()
    edge.start()
    edge.wait_line("1 lines could not be read", since=since)
    wait_until("the hole to be learned anew", lambda: holes.read_text().endswith(" 3 4 10\n"))
    assert all(sample[3] == "good" for sample in centre.samples("e1"))


def test_what_is_forbidden_is_never_asked_for(place):
    unit, link = field(place, 'interval: 200ms, forbidden: "3:5-6"')
    broker = place.broker().start()
    centre = place.centre_by_hand(broker)
    place.edge(broker, "e1", link, site="s").start()
    centre.wait_sample("e1", "s.u.c")
    assert asked(unit) == {(0, 4), (10, 2)}


def test_a_link_that_cannot_do_it_is_refused_with_the_reason(place):
    _, link = field(place, "interval: 10ms, latency: 300ms")
    broker = place.broker()
    edge = place.edge(broker, "e1", link, site="s")
    for command in (["chengmai-edge", "--config", edge.config], ["chengmai-edge", "--check", "--config", edge.config]):
        answer = harness.run(*command)
        assert answer.returncode == 2
        assert "link 'plc' cannot do it: its 1 reads would take 3000 % of its time" in answer.stderr
    for command in ("plan", "check"):
        answer = harness.run("chengmai", command, edge.config)
        assert answer.returncode == 1 and "link 'plc' cannot do it" in answer.stderr
