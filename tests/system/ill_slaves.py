"""Modbus slaves that misbehave, by hand, over every kind of line: TCP, a serial server, a DTU's call, a serial port.

What a register holds tells where it comes from: its high byte is the unit, its low byte where it stands, and a second
register counts the requests that the line has seen. So a wrong register, and an old one, show.
"""

import heapq
import os
import pty
import select
import socket
import struct
import threading
import time
import tty

import harness


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


class Rtu:
    request_size = 8

    @staticmethod
    def open(frame):
        return None, frame[:6]

    @staticmethod
    def seal(_head, pdu):
        return pdu + crc16(pdu)


class Mbap:
    request_size = 12

    @staticmethod
    def open(frame):
        return frame[:2], frame[6:]

    @staticmethod
    def seal(head, pdu):
        return head + struct.pack(">HH", 0, len(pdu)) + pdu


def reply_to(pdu, count):
    """Unit, function, and two registers: who and where, and the count."""
    unit, function, start, registers = struct.unpack(">BBHH", pdu[:6])
    data = b"".join(struct.pack(">H", (unit << 8 | (start & 0xFF)) if i % 2 == 0 else count & 0xFFFF)
                    for i in range(registers))
    return bytes([unit, function, len(data)]) + data


# Each takes the framing, what heads the frame, the request and its right reply; and gives (delay in seconds, bytes) for
# each piece that goes out. None as bytes: hang up.
def healthy(framing, head, _pdu, reply):
    return [(0, framing.seal(head, reply))]


def silent(_framing, _head, _pdu, _reply):
    return []


def wrong_unit(framing, head, _pdu, reply):
    return [(0, framing.seal(head, bytes([reply[0] + 100]) + reply[1:]))]


def wrong_function(framing, head, _pdu, reply):
    return [(0, framing.seal(head, reply[:1] + bytes([reply[1] + 1]) + reply[2:]))]


def too_long(framing, head, _pdu, reply):
    return [(0, framing.seal(head, reply[:2] + bytes([reply[2] + 2]) + b"\x0b\xad" + reply[3:]))]


def too_short(framing, head, _pdu, reply):
    return [(0, framing.seal(head, reply[:2] + bytes([reply[2] - 2]) + reply[3:-2]))]


def half(framing, head, _pdu, reply):
    frame = framing.seal(head, reply)
    return [(0, frame[:len(frame) // 2])]


def dripping(framing, head, _pdu, reply):
    return [(n, bytes([byte])) for n, byte in enumerate(framing.seal(head, reply))]


def refusing(framing, head, _pdu, reply):
    return [(0, framing.seal(head, bytes([reply[0], reply[1] | 0x80, 4])))]


def closing(framing, head, _pdu, reply):
    return [(0, framing.seal(head, reply)[:5]), (0.02, None)]


def flipped(framing, head, _pdu, reply):
    frame = bytearray(framing.seal(head, reply))
    frame[-4] ^= 0x10
    return [(0, bytes(frame))]


def doubled(framing, head, _pdu, reply):
    return [(0, framing.seal(head, reply) * 2)]


def in_pieces(framing, head, _pdu, reply):
    frame = framing.seal(head, reply)
    return [(0.01 * n, frame[n:n + 1]) for n in range(len(frame))]


def echoing(framing, head, pdu, reply):
    return [(0, framing.seal(head, pdu)), (0.02, framing.seal(head, reply))]


def noisy(framing, head, _pdu, reply):
    return [(0, b"\x00\xff" + bytes([reply[0], reply[1]]) + b"\x55HB" + framing.seal(head, reply))]


def other_transaction(framing, head, _pdu, reply):
    number, = struct.unpack(">H", head)
    return [(0, framing.seal(struct.pack(">H", number ^ 0x5A5A), reply))]


def garbage(_framing, _head, _pdu, _reply):
    return [(0, b"HTTP/1.1 400 Bad Request\r\n\r\n")]


def late_by(lateness, chance, random):
    """Some replies come so many seconds late (drawn anew each time), but in the order they were asked for."""
    last = 0

    def late(framing, head, _pdu, reply):
        nonlocal last
        now = time.monotonic()
        last = max(last + 0.002, now + (lateness() if random.random() < chance else 0))
        return [(last - now, framing.seal(head, reply))]
    return late


class Line:
    """A line with units on it; `manners` says how each behaves, healthy by default."""

    framing = Rtu

    def __init__(self):
        self.manners = {}
        self.count = 0
        self.delayed = 0  # replies that were kept back
        self.asked = {}  # count → when, in ms
        self.waiting = []  # (when, number, connection, bytes)
        self.connection = 0  # its number: a descriptor's comes again
        self.buffer = b""
        self.ending = self.frozen = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def freeze(self):
        """It neither reads nor says anything any more, and its connection stands."""
        self.frozen = True

    def close(self):
        self.ending = True
        self.thread.join(10)

    # What a kind of line is: `channel` is a descriptor to read from, or None while there is none.
    channel = None

    def _look_for_channel(self):
        """Makes `channel`; what to wait for meanwhile."""
        return []

    def _hang_up(self):
        pass

    def _serve(self, frame):
        self.count += 1
        self.asked[self.count & 0xFFFF] = harness.now_ms()
        head, pdu = self.framing.open(frame)
        manner = self.manners.get(pdu[0], healthy)
        for delay, data in manner(self.framing, head, pdu, reply_to(pdu, self.count)):
            self.delayed += delay > 0
            heapq.heappush(self.waiting, (time.monotonic() + delay, self.count, self.connection, data))

    def _send_due(self):
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, _, connection, data = heapq.heappop(self.waiting)
            # What a serial line says late goes to whoever is connected by then.
            if self.channel is None or (self.framing is Mbap and connection != self.connection):
                continue
            if data is None:
                self._hang_up()
                continue
            try:
                os.write(self.channel, data)
            except OSError:
                self._hang_up()

    def _take(self):
        try:
            data = os.read(self.channel, 4096)
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        self.buffer += data
        while len(self.buffer) >= self.framing.request_size:
            frame, self.buffer = self.buffer[:self.framing.request_size], self.buffer[self.framing.request_size:]
            self._serve(frame)

    def _run(self):
        while not self.ending:
            if self.frozen:
                time.sleep(0.05)
                continue
            others = self._look_for_channel()
            wait = min(0.05, max(0, self.waiting[0][0] - time.monotonic())) if self.waiting else 0.05
            watched = [fd for fd in [self.channel, *others] if fd is not None]
            ready, _, _ = select.select(watched, [], [], wait)
            if self.channel in ready:
                self._take()
            self._send_due()
        self._hang_up()


class SerialLine(Line):
    """A pseudo-terminal; `path` is what an edge opens."""

    def __init__(self):
        super().__init__()
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)
        self.channel = self.master

    def url(self):
        return f"rtu://{self.path}?baud=115200"

    def close(self):
        super().close()
        os.close(self.master)
        os.close(self.slave)


class SocketLine(Line):
    def __init__(self):
        super().__init__()
        self.socket = None

    def _connected(self, to):
        self._hang_up()
        self.connection += 1
        self.socket = to
        self.channel = to.fileno()

    def _hang_up(self):
        if self.socket:
            self.socket.close()
        self.socket = self.channel = None
        self.buffer = b""


class ServerLine(SocketLine):
    """A serial server: RTU over TCP."""

    scheme = "rtu+tcp"

    def __init__(self):
        super().__init__()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]

    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def _look_for_channel(self):
        try:
            self._connected(self.listener.accept()[0])
        except BlockingIOError:
            pass
        return [self.listener.fileno()]

    def close(self):
        super().close()
        self.listener.close()


class TcpLine(ServerLine):
    scheme = "tcp"
    framing = Mbap


class DtuLine(SocketLine):
    """A DTU: it calls, says who it is, and beats."""

    def __init__(self, port, name):
        super().__init__()
        self.port = port
        self.name = name
        self.beat_at = 0

    def url(self):
        return f"dtu://127.0.0.1:{self.port}?register={self.name}&heartbeat=HB"

    def call(self):
        to = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        to.setblocking(False)
        to.sendall(self.name.encode())
        self._connected(to)

    def _look_for_channel(self):
        try:
            if self.socket is None:
                self.call()
                self.beat_at = time.monotonic()
            if time.monotonic() >= self.beat_at:
                self.beat_at = time.monotonic() + 0.3
                os.write(self.channel, b"HB")
        except OSError:
            self._hang_up()
        return []


class Crossed(threading.Thread):
    """Two pseudo-terminals that hear each other: a serial line between two programs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ends = []
        for _ in range(2):
            master, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self.ends.append((master, slave))
        self.paths = [os.ttyname(slave) for _, slave in self.ends]
        self.ending = False

    def run(self):
        masters = [master for master, _ in self.ends]
        while not self.ending:
            for ready in select.select(masters, [], [], 0.05)[0]:
                try:
                    os.write(masters[1 - masters.index(ready)], os.read(ready, 4096))
                except OSError:
                    pass

    def close(self):
        self.ending = True
        self.join(10)
        for pair in self.ends:
            for fd in pair:
                os.close(fd)
