"""Modbus TCP slaves that nobody here wrote: Debian's pymodbus, its asynchronous server."""

import asyncio
import struct
import threading

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSparseDataBlock
from pymodbus.server.async_io import ModbusTcpServer

import harness

FORMATS = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "uint64": ">Q", "int64": ">q",
           "float32": ">f", "float64": ">d"}
HEADER = "name,function,address,type,word_order,scale,offset,unit,access,description\n"


def words(value, type_, order):
    """The registers of a value: letter i of the order says which byte (A: most significant) comes
    i-th on the wire."""
    raw = struct.pack(FORMATS[type_], value)
    wire = bytes(raw[ord(letter) - ord("A")] for letter in order)
    return list(struct.unpack(f">{len(wire) // 2}H", wire))


class Unit(ModbusSlaveContext):
    """What a slave holds; it remembers which functions it was asked for."""

    def __init__(self):
        tables = {name: ModbusSparseDataBlock({0: 0}) for name in ("di", "co", "hr", "ir")}
        for block in tables.values():
            block.values.clear()
        super().__init__(**tables, zero_mode=True)
        self.asked = []
        self.broken = False

    def validate(self, fc_as_hex, address, count=1):
        self.asked.append((fc_as_hex, address, count))
        if self.broken:
            raise RuntimeError("told to be broken")  # the server answers with exception 4
        return super().validate(fc_as_hex, address, count)

    def put(self, function, address, values):
        """What reading with that function shall find."""
        self.store[self.decode(function)].values.update(
            {address + i: value for i, value in enumerate(values)})


class Slave:
    """A server with units on a port of its own, in a thread of its own."""

    def __init__(self, port=None):
        self.port = port or harness.free_port()
        self.units = {}
        self.context = ModbusServerContext(slaves=self.units, single=False)
        self.context._slaves = self.units  # an empty dictionary would not be kept
        self.thread = None

    def unit(self, number):
        return self.units.setdefault(number, Unit())

    def silence(self, number):
        """The unit is dead, its gateway lives: no answer at all."""
        return self.units.pop(number)

    def start(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        harness.wait_until("pymodbus to listen", lambda: harness.listens(self.port))
        return self

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self):
        self.ending = asyncio.Event()
        server = ModbusTcpServer(self.context, address=("127.0.0.1", self.port), loop=self.loop,
                                 allow_reuse_address=True, ignore_missing_slaves=True)
        task = asyncio.ensure_future(server.serve_forever())
        await self.ending.wait()
        for handler in list(server.active_connections.values()):
            handler.transport.abort()
        await server.server_close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def close(self):
        if self.thread and self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.ending.set)
            self.thread.join(10)
        self.thread = None
