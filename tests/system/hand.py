"""Records as an edge writes them, by hand: what the format says, without its writer's code."""

import json
import subprocess

import harness
from harness import now_ms, topic

CAUSES = ["none", "comm_timeout", "modbus_exception", "bad_response", "link_down", "out_of_range", "sensor_fault",
          "not_a_number", "flat_line", "substituted", "maintenance", "calibration", "clock",
          "rollover", "meter_swap", "rate_of_change", "cross_check"]


def crc32c(data):
    """Castagnoli, bit by bit."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def dump(record):
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


class Records:
    """The records of an edge's journal: an epoch, and a sequence in each stream."""

    def __init__(self, edge, epoch, site=None):
        self.edge, self.epoch, self.site = edge, epoch, site or edge
        self.seq = dict.fromkeys("asct", 0)
        self.total = 0

    def head(self, kind, stream, **more):
        self.seq[stream] += 1
        return {"v": 1, "kind": kind, "epoch": self.epoch, "stream": stream, "seq": self.seq[stream],
                "boot": "b" * 32, "mono": 1000 * self.seq[stream], "sync": True, "t0": now_ms(), **more}

    def birth(self, *points, class_="trend"):
        """Its payload and its name. A point: (name, unit)."""
        stream = {"trend": "t", "compliance": "c", "safety": "s"}[class_]
        record = self.head("birth", "a", edge=self.edge, site=self.site, causes=CAUSES, points=[
            {"id": f"{self.site}.{name}", "name": name, "unit": unit, "type": "float32", "site": self.site,
             "map": "0" * 16, "class": class_, "stream": stream, "interval": 1000} for name, unit in points])
        payload = dump(record)
        return payload, harness.birth_name(payload)

    def data(self, birth, ids, values, stream="t", **more):
        self.total += len(ids)
        return dump(self.head("data", stream, birth=birth, id=ids, val=values, total=self.total) | more)

    def loss(self, of, first, last, points, cause="space"):
        at = now_ms()
        self.total += points
        return dump(self.head("loss", "a", of=of, first=first, last=last, points=points, cause=cause) |
                    {"from": at - 2000, "to": at - 1000})

    def state(self, up=True):
        return dump({"edge": self.edge, "site": self.site, "instance": "i" * 32, "epoch": self.epoch, "up": up,
                     "last": self.seq, "total": self.total, "t": now_ms()})


def mosquitto_pub(broker, edge, kind, payload, folder):
    """One message by Debian's client, from a file, so that any bytes go through."""
    path = folder / "payload"
    path.write_bytes(payload)
    subprocess.run(["mosquitto_pub", "-V", "5", "-q", "1", "-h", "127.0.0.1", "-p", str(broker.port),
                    "--cafile", broker.keys / "ca.crt", "--cert", broker.keys / f"{edge}.crt", "--key",
                    broker.keys / f"{edge}.key", "-t", topic(edge, kind), "-f", path], check=True, timeout=30)
