"""Real processes on free ports, each in its own process group, in a temporary folder.

Nothing here sleeps to synchronise: `wait_until` looks again and again at something that can be
seen (a line, a file, a state, an answer, a message) until a deadline. Every child's output is kept
in its folder, and conftest.py shows it when a test fails.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.subscribeoptions import SubscribeOptions

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
BUILD = pathlib.Path(os.environ.get("CHENGMAI_BUILD", ROOT / "build")).resolve()
BIN = pathlib.Path(os.environ.get("CHENGMAI_BIN", BUILD / "bin")).resolve()

# Sanitizers make everything slower, never wrong: deadlines are only bounds.
PATIENCE = float(os.environ.get("CHENGMAI_PATIENCE", "1"))
TOPICS = "chengmai/v1/"
EDGE_WRITES = ("birth", "data", "backfill", "event", "state", "stats", "reply", "cosign")


class Late(AssertionError):
    """Something did not happen within its deadline."""


def wait_until(what, look, seconds=15.0, every=0.02):
    """The first true answer of look(); what: in words, or a function that tells what there is."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise Late(f"waited {seconds:g} s for {what() if callable(what) else what}")
        time.sleep(every)


_given = set()


def free_port():
    """A port below those that the kernel gives to outgoing connections, so that none takes it while
    its owner is away."""
    for _ in range(1000):
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            if port not in _given and probe.connect_ex(("127.0.0.1", port)):
                with contextlib.suppress(OSError), socket.socket() as own:
                    own.bind(("127.0.0.1", port))
                    _given.add(port)
                    return port
    raise OSError("no free port found")


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def program(name):
    return str(BIN / name)


def run(name, *args, timeout=30, cwd=None, env=None):
    """Runs one of our programs to its end."""
    return subprocess.run([program(name), *map(str, args)], capture_output=True, text=True,
                          timeout=timeout * PATIENCE, cwd=cwd, env=env, check=False)


def now_ms():
    return time.time_ns() // 1_000_000


# ---- children -----------------------------------------------------------------------------------


class Child:
    """A process in a group of its own; its output goes to NAME.log in `folder`."""

    def __init__(self, folder, name, command, env=None):
        self.env = env
        self.folder = pathlib.Path(folder)
        self.name = name
        self.command = [str(part) for part in command]
        self.log_path = self.folder / f"{name}.log"
        self.process = None
        self.starts = 0

    def start(self):
        assert not self.alive(), f"{self.name} runs already"
        self.starts += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, cwd=self.folder, env=self.env)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            os.killpg(self.process.pid, number)

    def stop(self, seconds=30):
        """Asks it to end, as a service manager would; its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait(10)

    def wait(self, seconds=30):
        if self.process is None:
            return None
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Late(f"{self.name} did not end within {seconds:g} s") from None

    def end(self):
        """After a test: whatever state it is in, nothing of it is left."""
        if self.alive():
            self.signal(signal.SIGCONT)
            self.kill()

    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def mark(self):
        return len(self.log())

    def wait_line(self, pattern, seconds=15.0, since=0):
        def look():
            found = re.search(pattern, self.log()[since:], re.MULTILINE)
            if not found and not self.alive():
                raise Late(f"{self.name} ended ({self.process.returncode}) before it said {pattern!r}")
            return found
        return wait_until(f"{self.name} to say {pattern!r}", look, seconds)


class Broker(Child):
    """mosquitto, with the configuration and the ACL that ship."""

    def __init__(self, folder, keys):
        self.port = free_port()
        self.keys = pathlib.Path(keys)
        super().__init__(folder, "broker", ["mosquitto", "-c", pathlib.Path(folder) / "mosquitto.conf"])
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        self.acl = self.folder / "acl"
        self.acl.write_text((CONFIG / "mosquitto" / "acl").read_text("utf-8"), "utf-8")
        (self.folder / "mosquitto.conf").write_text(
            fill((CONFIG / "mosquitto" / "mosquitto.conf").read_text("utf-8"), PORT=self.port,
                 KEYS=self.keys, ACL=self.acl, USER=user), "utf-8")

    def start(self):
        super().start()
        self.wait_open()
        return self

    def wait_open(self):
        def look():
            if not self.alive():
                raise Late(f"the broker ended: {self.log()[-2000:]}")
            return listens(self.port)
        wait_until("the broker to listen", look)

    def yaml(self, name):
        return (f'broker: {{url: "mqtts://127.0.0.1:{self.port}", ca: "{self.keys}/ca.crt", '
                f'cert: "{self.keys}/{name}.crt", key: "{self.keys}/{name}.key"}}\n')


class Sim(Child):
    """chengmai-sim, with the YAML text given."""

    def __init__(self, folder, text, name="sim"):
        super().__init__(folder, name, [program("chengmai-sim"), "--config", f"{name}.yaml"])
        (self.folder / f"{name}.yaml").write_text(text, "utf-8")
        self.ports = [int(port) for port in re.findall(r"listen: 127\.0\.0\.1:(\d+)", text)]

    def start(self):
        super().start()
        wait_until("the simulator to listen", lambda: all(map(listens, self.ports)))
        return self


class Edge(Child):
    """chengmai-edge. `links` is the YAML of its links, as indented list items."""

    def __init__(self, folder, broker, name, links, site=None, size="64MiB", more=""):
        self.journal = pathlib.Path(folder) / f"{name}-journal"
        super().__init__(folder, name, [program("chengmai-edge"), "--config", f"{name}.yaml"])
        self.config = self.folder / f"{name}.yaml"
        self.config.write_text(
            f'edge: {name}\nsite: {site or name}\ncentre: c1\n'
            f'journal: {{path: "{self.journal}", size: {size}}}\nstats: 1s\n'
            + more + broker.yaml(name) + "links:\n" + links, "utf-8")

    def start(self):
        since = self.mark()
        super().start()
        self.wait_line(r"polls \d+ points", since=since)
        return self


def tcp_link(name, port, *units, timeout="300ms"):
    """A link of an edge as YAML; units are YAML flow maps."""
    return (f'  - name: {name}\n    url: "tcp://127.0.0.1:{port}"\n    timeout: {timeout}\n'
            '    units:\n' + "".join(f"      - {unit}\n" for unit in units))


class Central(Child):
    """chengmai-central and its API."""

    PASSWORD = "correct-horse-1"

    def __init__(self, folder, broker, rules=(), webhooks=(), stores=(), name="central"):
        self.port = free_port()
        self.data = pathlib.Path(folder) / f"{name}-data"
        super().__init__(folder, name, [program("chengmai-central"), "--config", f"{name}.yaml"])
        password = self.folder / f"{name}.password"
        password.write_text(self.PASSWORD, "utf-8")
        password.chmod(0o600)
        self.config = self.folder / f"{name}.yaml"
        text = (f'centre: c1\ndata: "{self.data}"\n' + broker.yaml("central") +
                f'http: {{listen: "127.0.0.1:{self.port}"}}\n'
                f'operator: {{user: operator, password_file: "{password}"}}\n')
        if rules:
            text += "rules:\n" + "".join(f'  - "{rule}"\n' for rule in rules)
        if webhooks:
            text += "webhooks:\n" + "".join(f"  - {hook}\n" for hook in webhooks)
        if stores:
            text += "stores:\n" + "".join(f"  - {store}\n" for store in stores)
        self.config.write_text(text, "utf-8")
        self.api = Api(self.port)

    def start(self):
        super().start()

        def look():
            if not self.alive():
                raise Late(f"the centre ended ({self.process.returncode}): {self.log()[-2000:]}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.api.ask("GET", "/api/v1/health").status in (200, 503)
        wait_until("the centre's API", look, 20)
        return self

    def metrics(self):
        """Name with labels → number; empty while it does not answer."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self.api.ask("GET", "/api/v1/metrics")
            if answer.status == 200:
                return {name: float(value) for name, value in re.findall(
                    r"^([a-z_]+(?:\{[^}]*\})?) ([-+0-9.eE]+)$", answer.text, re.MULTILINE)}
        return {}

    def metric(self, name):
        return self.metrics().get(name)

    def wait_readers(self, *others, seconds=60):
        """Until the historian and the alarm thread, and the others named, have read all of the journal."""
        names = [f'chengmai_reader_lag_records{{reader="{name}"}}' for name in ("historian", "alarm", *others)]

        def look():
            found = self.metrics()
            return all(found.get(name) == 0 for name in names)

        def lags():
            found = self.metrics()
            return f"the centre's readers: {({name: found.get(name) for name in names})}"
        wait_until(lags, look, seconds, 0.1)


# ---- HTTP ---------------------------------------------------------------------------------------


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode("utf-8")

    def json(self):
        return json.loads(self.text)


class Api:
    """The centre's API over one loopback port; logs in on demand and keeps the cookie."""

    def __init__(self, port):
        self.port = port
        self.cookie = None

    def ask(self, method, path, body=None, cookie=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10 * PATIENCE)
        headers = dict(headers or {})
        if cookie:
            headers["Cookie"] = cookie
        if body is not None and not isinstance(body, (bytes, str)):
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def login(self, user="operator", password=Central.PASSWORD):
        return self.ask("POST", "/api/v1/login", {"user": user, "password": password},
                        headers={"X-Chengmai": "1"})

    def call(self, method, path, body=None):
        """As a logged-in operator."""
        for _ in range(2):
            if not self.cookie:
                answer = self.login()
                assert answer.status in (200, 204), answer.text
                self.cookie = answer.headers["Set-Cookie"].split(";")[0]
            answer = self.ask(method, path, body, self.cookie, {"X-Chengmai": "1"})
            if answer.status != 401:
                return answer
            self.cookie = None
        return answer

    def get(self, path):
        answer = self.call("GET", path)
        assert answer.status == 200, f"{path}: {answer.status} {answer.text}"
        return answer.json()

    def try_get(self, path):
        """None while the centre is away."""
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
            return self.get(path)


# ---- MQTT ---------------------------------------------------------------------------------------


class _Client(paho.Client):
    """paho 1.6 keeps the reason of a PUBACK to itself; this remembers it."""

    def __init__(self, *args, **kwargs):
        self.reasons = {}
        super().__init__(*args, **kwargs)

    def _handle_pubackcomp(self, cmd):
        packet = self._in_packet["packet"]
        mid, = struct.unpack("!H", packet[:2])
        self.reasons[mid] = packet[2] if len(packet) > 2 else 0
        return super()._handle_pubackcomp(cmd)


class Message:
    def __init__(self, message):
        self.topic = message.topic
        self.payload = message.payload
        self.retained = bool(message.retain)
        self.at_ms = now_ms()

    def json(self):
        return json.loads(self.payload)

    def __repr__(self):
        return f"{self.topic}: {self.payload[:200]!r}"


class Mqtt:
    """An MQTT 5 client with a certificate, which keeps everything it receives."""

    def __init__(self, port, keys, name, certificate=None, ca=None, client_id=None, will=None):
        self.messages = []
        self.changed = threading.Condition()
        self.connected = threading.Event()
        self.refused = None
        self.granted = {}
        self.hooks = []
        self.client = _Client(client_id or name, protocol=paho.MQTTv5)
        context = ssl.create_default_context(cafile=str(ca or pathlib.Path(keys) / "ca.crt"))
        if certificate is None:
            certificate = pathlib.Path(keys) / f"{name}.crt"
        if certificate:
            context.load_cert_chain(certificate, pathlib.Path(certificate).with_suffix(".key"))
        self.client.tls_set_context(context)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe
        self.client.reconnect_delay_set(1, 1)
        if will:
            self.client.will_set(will[0], will[1], qos=1, retain=True)
        self.port = port

    def _on_connect(self, client, _userdata, _flags, reason, _properties=None):
        if reason == 0:
            for topic in list(self.granted):
                client.subscribe(topic, options=SubscribeOptions(qos=1))
            self.connected.set()
        else:
            self.refused = reason

    def _on_message(self, _client, _userdata, message):
        message = Message(message)
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()
        for hook in list(self.hooks):
            hook(message)

    def _on_subscribe(self, _client, _userdata, mid, reasons, _properties=None):
        with self.changed:
            self.granted[mid] = reasons[0].value
            self.changed.notify_all()

    def open(self):
        self.client.connect("127.0.0.1", self.port, keepalive=30, clean_start=True)
        self.client.loop_start()
        if not self.connected.wait(10 * PATIENCE):
            raise Late(f"not connected to the broker: {self.refused}")
        return self

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, topic):
        """The broker's reason code: 0..2 granted."""
        with self.changed:
            _, mid = self.client.subscribe(topic, options=SubscribeOptions(qos=1))
            if not self.changed.wait_for(lambda: mid in self.granted, 10 * PATIENCE):
                raise Late(f"no answer to the subscription of {topic}")
            return self.granted.pop(mid)

    def publish(self, topic, payload, retain=False):
        """The broker's reason code: 0 taken, 16 nobody listens, 135 not authorized."""
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps(payload, separators=(",", ":"))
        info = self.client.publish(topic, payload, qos=1, retain=retain)
        end = time.monotonic() + 10 * PATIENCE
        while info.mid not in self.client.reasons:
            if time.monotonic() > end:
                raise Late(f"no PUBACK for {topic}")
            info.wait_for_publish(0.1)
        return self.client.reasons.pop(info.mid)

    def received(self, topic=None):
        with self.changed:
            return [m for m in self.messages if topic is None or m.topic == topic]

    def wait_message(self, what, wanted, seconds=15.0, since=0):
        """The first message (from index `since` on) that wanted() likes."""
        def look():
            return next((m for m in self.messages[since:] if wanted(m)), None)
        with self.changed:
            if not self.changed.wait_for(look, seconds * PATIENCE):
                raise Late(f"waited {seconds:g} s for {what}; got {self.messages[-5:]}")
            return look()


def topic(edge, kind):
    return f"{TOPICS}{edge}/{kind}"


def through(numbers):
    """A receipt's account of a set of sequences."""
    end = 0
    while end + 1 in numbers:
        end += 1
    also = []
    for number in sorted(n for n in numbers if n > end):
        if also and also[-1][1] == number - 1:
            also[-1][1] = number
        else:
            also.append([number, number])
    return {"through": end, **({"also": also[:32]} if also else {})}


class HandCentre(Mqtt):
    """As little of a centre as an edge needs: presence, and receipts for what came."""

    def __init__(self, port, keys, nonce="1" * 32):
        super().__init__(port, keys, "central")
        self.nonce = nonce
        self.records = []  # (topic's edge, payload, record) in order of arrival
        self.have = {}     # (edge, epoch) → stream → set of sequences
        self.states = {}   # edge → its last state
        self.receipting = True
        self.hooks.append(self._take)

    def open(self):
        super().open()
        for kind in EDGE_WRITES:
            assert self.subscribe(topic("+", kind)) < 128
        self.beat()
        return self

    def beat(self, up=True):
        self.client.publish(TOPICS + "central/c1/state", json.dumps(
            {"centre": "c1", "nonce": self.nonce, "up": up, "t": now_ms()}), qos=1, retain=True)

    def receipt(self, edge, epoch):
        streams = self.have.setdefault((edge, epoch), {})
        self.client.publish(topic(edge, "receipt"), json.dumps(
            {"centre": "c1", "nonce": self.nonce, "epoch": epoch,
             "streams": {s: through(streams.get(s, set())) for s in "asct"}, "credit": 1 << 20}), qos=1)

    def _take(self, message):
        edge, kind = message.topic[len(TOPICS):].split("/")
        if kind == "state" and message.payload:
            state = self.states[edge] = message.json()
            if state["up"] and self.receipting:
                self.beat()  # an edge that hears nothing for 30 s stops sending
                self.receipt(edge, state["epoch"])
        elif kind in ("birth", "data", "backfill", "event"):
            record = message.json()
            self.have.setdefault((edge, record["epoch"]), {}).setdefault(record["stream"], set()).add(
                record["seq"])
            with self.changed:
                self.records.append((edge, message, record))
                self.changed.notify_all()
            if self.receipting:
                self.receipt(edge, record["epoch"])

    def births(self, edge):
        return {birth_name(m.payload): r for e, m, r in list(self.records)
                if e == edge and r["kind"] == "birth"}

    def samples(self, edge, point=None):
        """(point id, t ms, value, quality, cause, record) of all data, decoded with their births."""
        births = self.births(edge)
        found = []
        for of, _, record in list(self.records):
            if of != edge or record["kind"] != "data" or record["birth"] not in births:
                continue
            birth = births[record["birth"]]
            count = len(record["id"])
            for i in range(count):
                name = birth["points"][record["id"][i]]["id"]
                if point is None or name == point:
                    q = record.get("q", [0] * count)[i]
                    found.append((name, record["t0"] + record.get("dt", [0] * count)[i],
                                  record["val"][i], QUALITIES[q // 256], birth["causes"][q % 256], record))
        return found

    def wait_sample(self, edge, point, wanted=lambda sample: True, seconds=15.0):
        def look():
            return next((s for s in self.samples(edge, point) if wanted(s)), None)
        return wait_until(lambda: f"a sample of {point}; the last ones: {self.samples(edge, point)[-3:]}",
                          look, seconds, 0.05)


QUALITIES = ("good", "uncertain", "bad", "stale")


def birth_name(payload):
    return hashlib.sha256(payload).hexdigest()[:16]


def fill(text, **words):
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    return text


# ---- places -------------------------------------------------------------------------------------


class Place:
    """A folder with children in it, ended in the reverse order of their making."""

    def __init__(self, folder, keys):
        self.folder = pathlib.Path(folder)
        self.keys = keys
        self.children = []
        self.closers = []

    def add(self, child):
        """A child, or anything with close()."""
        (self.children if isinstance(child, Child) else self.closers).append(child)
        return child

    def broker(self):
        return self.add(Broker(self.folder, self.keys))

    def edge(self, broker, name, links, **options):
        return self.add(Edge(self.folder, broker, name, links, **options))

    def central(self, broker, **options):
        return self.add(Central(self.folder, broker, **options))

    def sim(self, text, **options):
        return self.add(Sim(self.folder, text, **options))

    def centre_by_hand(self, broker, **options):
        return self.add(HandCentre(broker.port, self.keys, **options)).open()

    def client(self, broker, name, **options):
        return self.add(Mqtt(broker.port, self.keys, name, **options)).open()

    def end(self):
        for closer in reversed(self.closers):
            with contextlib.suppress(Exception):
                closer.close()
        for child in reversed(self.children):
            child.end()

    def show(self):
        """What the children said, for the report of a failure."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text("utf-8", "replace").splitlines()
            parts.append("\n".join([f"--- {path.name} (last {min(len(lines), 40)} of {len(lines)} lines)",
                                    *lines[-40:]]))
        return "\n".join(parts)

