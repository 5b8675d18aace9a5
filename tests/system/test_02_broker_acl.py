"""The broker's ACL is the table of topics: who writes, who reads. One test for each cell.

A reader's cell is shown by order: the writer's message, then one that the reader may have. The
broker keeps the order, so when the second is there, the first has come or never will.
"""

import itertools
import json
import subprocess

import pytest

import harness
from harness import TOPICS, topic

DENIED = 135

# topic of edge e1 → (who writes, who reads)
OF_AN_EDGE = {kind: ({"own"}, {"centre"}) for kind in harness.EDGE_WRITES}
OF_AN_EDGE |= {kind: ({"centre"}, {"own"}) for kind in ("receipt", "request", "config")}
# topics of the centre
OF_THE_CENTRE = {kind: ({"centre"}, {"own", "other", "centre"}) for kind in ("state", "head")}

WHO = {"own": "e1", "other": "e2", "centre": "central"}
TABLE = {topic("e1", kind): row for kind, row in OF_AN_EDGE.items()}
TABLE |= {TOPICS + f"central/c1/{kind}": row for kind, row in OF_THE_CENTRE.items()}
CELLS = list(itertools.product(TABLE, WHO))
IDS = [f"{name[len(TOPICS):].replace('/', '-')}-{who}" for name, who in CELLS]


@pytest.fixture(scope="module")
def broker(module_place):
    return module_place.broker().start()


@pytest.fixture(scope="module")
def clients(module_place, broker):
    return {who: module_place.client(broker, name) for who, name in WHO.items()}


_numbers = itertools.count()


def unique():
    return f"n{next(_numbers)}"


def marker(clients, who):
    """A message that `who` may receive, from one who may send it."""
    text = unique()
    if who == "centre":
        writer, name = "own", topic("e1", "stats")
    else:
        writer, name = "centre", topic(WHO[who], "request")
    assert clients[who].subscribe(name) < 128
    assert clients[writer].publish(name, text) < 128
    clients[who].wait_message(f"the marker {text}", lambda m: m.payload == text.encode())


@pytest.mark.parametrize("name,who", CELLS, ids=IDS)
def test_publish(clients, name, who):
    reader = next(iter(sorted(TABLE[name][1])))
    assert clients[reader].subscribe(name) < 128
    text = unique()
    reason = clients[who].publish(name, text)
    if who in TABLE[name][0]:
        assert reason < 128
        clients[reader].wait_message(f"{text} on {name}", lambda m: m.payload == text.encode())
    else:
        assert reason == DENIED
        marker(clients, reader)
        assert not [m for m in clients[reader].received() if m.payload == text.encode()]


@pytest.mark.parametrize("name,who", CELLS, ids=IDS)
def test_receive(clients, name, who):
    writer = next(iter(TABLE[name][0]))
    granted = clients[who].subscribe(name)
    text = unique()
    assert clients[writer].publish(name, text) < 128
    if who in TABLE[name][1]:
        assert granted < 128
        clients[who].wait_message(f"{text} on {name}", lambda m: m.payload == text.encode())
    else:
        marker(clients, who)
        assert not [m for m in clients[who].received() if m.payload == text.encode()]


def test_a_wildcard_shows_an_edge_nothing_of_another(clients):
    clients["other"].subscribe("#")
    clients["other"].subscribe(TOPICS + "+/data")
    text = unique()
    assert clients["own"].publish(topic("e1", "data"), text) < 128
    marker(clients, "other")
    assert not [m for m in clients["other"].received() if m.payload == text.encode()]


@pytest.mark.parametrize("name", ["chengmai/v1/e1/else", "chengmai/v2/e1/data", "else", "$SYS/broker/uptime",
                                  "chengmai/v1/e1/data/deeper"])
@pytest.mark.parametrize("who", list(WHO))
def test_no_other_topic_may_be_written(clients, name, who):
    assert clients[who].publish(name, unique()) == DENIED


def test_a_claimed_name_counts_for_nothing(place, broker, keys):
    """The certificate says who one is, not the client id."""
    liar = harness.Mqtt(broker.port, keys, "gas", client_id="transfer")
    place.add(liar).open()
    assert liar.publish(topic("transfer", "data"), "{}") == DENIED
    assert liar.publish(topic("gas", "data"), "{}") < 128


def pub(*args):
    return subprocess.run(["mosquitto_pub", "-V", "5", "-q", "1", "-h", "127.0.0.1", *map(str, args)],
                          capture_output=True, text=True, timeout=30, check=False)


def test_mosquitto_pub_agrees(broker, keys):
    """Another client than paho, with the same certificate."""
    own = ["-p", broker.port, "--cafile", keys / "ca.crt", "--cert", keys / "leachate.crt",
           "--key", keys / "leachate.key", "-m", "x"]
    taken = pub(*own, "-t", topic("leachate", "data"))
    assert taken.returncode == 0 and "ot authorized" not in taken.stderr + taken.stdout
    denied = pub(*own, "-t", topic("gas", "data"))
    assert "ot authorized" in denied.stderr + denied.stdout


def test_without_a_certificate_there_is_no_connection(broker, keys):
    answer = pub("-p", broker.port, "--cafile", keys / "ca.crt", "-t", topic("e1", "data"), "-m", "x")
    assert answer.returncode != 0


def test_without_tls_there_is_no_connection(broker):
    answer = pub("-p", broker.port, "-t", topic("e1", "data"), "-m", "x")
    assert answer.returncode != 0


def test_a_certificate_of_another_ca_is_refused(broker, keys, foreign_keys):
    answer = pub("-p", broker.port, "--cafile", keys / "ca.crt", "--cert", foreign_keys / "e1.crt",
                 "--key", foreign_keys / "e1.key", "-t", topic("e1", "data"), "-m", "x")
    assert answer.returncode != 0


def test_a_will_is_told_only_within_the_acl(place, broker, keys, clients):
    """An edge's will about itself is told; one in another's name is not."""
    centre = clients["centre"]
    centre.subscribe(topic("+", "state"))
    dying = itertools.count()

    def die(will_topic):
        text = unique()
        since = broker.mark()
        client = place.add(harness.Child(place.folder, f"dying-{next(dying)}", [
            "mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", broker.port, "--cafile", keys / "ca.crt", "--cert",
            keys / "transfer.crt", "--key", keys / "transfer.key", "-t", topic("transfer", "receipt"),
            "--will-topic", will_topic, "--will-payload", text, "--will-qos", "1"])).start()
        broker.wait_line(r"as transfer \(", since=since)
        client.kill()
        return text

    told = die(topic("transfer", "state"))
    centre.wait_message("the will", lambda m: m.payload == told.encode())
    forged = die(topic("gas", "state"))
    told = die(topic("transfer", "state"))
    centre.wait_message("the second will", lambda m: m.payload == told.encode())
    assert not [m for m in centre.received() if m.payload == forged.encode()]


def test_the_will_of_an_edge_is_its_state(place, broker, clients):
    """What chengmai-edge leaves behind when it is killed: its state, with up false."""
    gone = harness.free_port()
    edge = place.edge(broker, "gas", harness.tcp_link(
        "rtu", gone, f'{{unit: 1, map: "{harness.CONFIG}/maps/gas-rtu.csv", name: rtu}}'))
    centre = clients["centre"]
    centre.subscribe(topic("gas", "state"))
    since = len(centre.received())

    def state(up):
        return lambda m: m.topic == topic("gas", "state") and m.payload[:1] == b"{" and m.json()["up"] is up
    edge.start()
    alive = centre.wait_message("the edge's state", state(True), since=since).json()
    edge.kill()
    dead = centre.wait_message("the edge's will", state(False), since=since).json()
    assert dead["edge"] == "gas" and dead["instance"] == alive["instance"]
    assert dead["epoch"] == alive["epoch"]


def test_an_edge_that_is_stopped_says_so(place, broker, clients):
    gone = harness.free_port()
    edge = place.edge(broker, "leachate", harness.tcp_link(
        "plc", gone, f'{{unit: 1, map: "{harness.CONFIG}/maps/gas-rtu.csv", name: rtu}}'), more="drain: 0s\n")
    centre = clients["centre"]
    centre.subscribe(topic("leachate", "state"))
    edge.start()
    centre.wait_message("the edge's state", lambda m: m.topic == topic("leachate", "state") and m.json()["up"])
    assert edge.stop() == 0
    centre.wait_message("its last word", lambda m: m.topic == topic("leachate", "state") and not m.json()["up"])
    assert json.loads(centre.received(topic("leachate", "state"))[-1].payload)["up"] is False
