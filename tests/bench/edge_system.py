"""What a whole edge costs: processor time, memory, punctuality; beside Debian's collectd in the same shape.

The devices are build/bench/slave, the broker is mosquitto with TLS as it ships, the centre is made by hand and
receipts all that comes. Points are counted where the centre has them, processor time is that of all threads of
the edge. collectd (modbus and mqtt plug-ins, without TLS) reads the same registers at the same rate; its points
are the answers it got.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import harness  # noqa: E402

QUICK = bool(os.environ.get("QUICK"))
BENCH = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve() / "bench"
COLLECTD = shutil.which("collectd") or "/usr/sbin/collectd"
PLUGINS = pathlib.Path("/usr/lib/collectd")


def say(name, value, unit, reference, against, sense, bound, of_ratio=False):
    """One line of the bench; a bound of the ratio, or of the value itself."""
    ratio = value / reference
    judged = ratio if of_ratio else value
    met = judged <= bound if sense == "at most" else judged >= bound
    shown = f"{bound:.3g}" if of_ratio else f"{bound:.3g} {unit}"
    print(f"{name} {value:.4g} {unit} (ratio {ratio:.3g} to {against}, bound {sense} {shown}, "
          f"{'met' if met else 'missed'})", flush=True)


# ---- what is measured ---------------------------------------------------------------------------


def cpu_seconds(pid):
    """Of all threads, those that ended included as far as the kernel still knows them."""
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


class Devices:
    """build/bench/slave."""

    def __init__(self):
        self.port = harness.free_port()
        self.process = subprocess.Popen([BENCH / "slave", str(self.port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def report(self, grid_ms=1000):
        self.tell(f"report {grid_ms}")
        requests, answers, p50, p99, worst, timer = self.process.stdout.readline().split()
        return {"requests": int(requests), "answers": int(answers), "p50": float(p50), "p99": float(p99),
                "worst": float(worst), "timer": float(timer)}

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def write_map(path, points, last_uint16=False):
    rows = "name,function,address,type,word_order\n"
    rows += "".join(f"p{i},3,{2 * i},float32,ABCD\n" for i in range(points - last_uint16))
    if last_uint16:
        rows += f"last,3,{2 * (points - 1)},uint16,AB\n"
    path.write_text(rows)


def address(device):
    return f"127.0.{4 + device // 250}.{1 + device % 250}"


class Run:
    """An edge, its devices, a broker and a centre; ended with all of it."""

    def __init__(self, keys, links, points, last_uint16=False):
        """links: (device, units) of each link; each unit with so many points, once a second."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-edge-"))
        self.place = harness.Place(self.folder, keys)
        self.devices = Devices()
        map_path = self.folder / "map.csv"
        write_map(map_path, points, last_uint16)
        text = "".join(
            f'  - name: l{device}\n    url: "tcp://{address(device)}:{self.devices.port}"\n    units:\n' +
            "".join(f'      - {{unit: {unit + 1}, map: "{map_path}", name: d{device}u{unit}, interval: 1s}}\n'
                    for unit in range(units)) for device, units in links)
        broker = self.place.broker().start()
        self.centre = self.place.centre_by_hand(broker)
        self.edge = self.place.edge(broker, "e1", text, site="s").start()
        self.pid = self.edge.process.pid

    def points_received(self):
        with self.centre.changed:
            records, self.centre.records[:] = list(self.centre.records), []
            self.centre.messages.clear()
        return sum(len(record["id"]) for _, _, record in records if record["kind"] == "data")

    def measure(self, seconds):
        """(processor µs a point, processor seconds a second) over so long."""
        self.points_received()
        cpu, began = cpu_seconds(self.pid), time.monotonic()
        time.sleep(seconds)
        cpu, took = cpu_seconds(self.pid) - cpu, time.monotonic() - began
        points = self.points_received()
        assert points, "nothing came through: " + self.edge.log()[-1000:]
        return cpu * 1e6 / points, cpu / took

    def end(self):
        self.place.end()
        self.devices.close()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- collectd -----------------------------------------------------------------------------------


def collectd_missing():
    if not pathlib.Path(COLLECTD).exists():
        return "collectd is not installed (apt-get install --no-install-recommends collectd-core)"
    for plugin in ("modbus", "mqtt"):
        if not (PLUGINS / f"{plugin}.so").exists():
            return f"collectd has no plug-in {plugin}"
    return None


def collectd_config(folder, port, broker_port, links, points, last_uint16):
    data = "".join(f'  <Data "p{i}">\n    RegisterBase {2 * i}\n    RegisterType '
                   f'{"Uint16" if last_uint16 and i == points - 1 else "Float"}\n    RegisterCmd ReadHolding\n'
                   f'    Type gauge\n    Instance "p{i}"\n  </Data>\n' for i in range(points))
    collect = "".join(f'      Collect "p{i}"\n' for i in range(points))
    hosts = "".join(
        f'  <Host "d{device}">\n    Address "{address(device)}"\n    Port "{port}"\n    Interval 1\n' +
        "".join(f'    <Slave {unit + 1}>\n      Instance "u{unit}"\n{collect}    </Slave>\n'
                for unit in range(units)) + "  </Host>\n" for device, units in links)
    path = folder / "collectd.conf"
    path.write_text(
        f'FQDNLookup false\nBaseDir "{folder}"\nPIDFile "{folder}/pid"\nPluginDir "{PLUGINS}"\n'
        'TypesDB "/usr/share/collectd/types.db"\nInterval 1\nReadThreads 5\nWriteThreads 2\n'
        'LoadPlugin logfile\n<Plugin logfile>\n  LogLevel err\n'
        f'  File "{folder}/collectd.log"\n</Plugin>\nLoadPlugin modbus\n<Plugin modbus>\n{data}{hosts}</Plugin>\n'
        'LoadPlugin mqtt\n<Plugin mqtt>\n  <Publish "bench">\n    Host "127.0.0.1"\n'
        f'    Port {broker_port}\n    QoS 1\n    Prefix "collectd"\n  </Publish>\n</Plugin>\n')
    return path


def collectd_us_per_point(links, points, last_uint16, seconds):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-collectd-"))
    devices = Devices()
    broker_port = harness.free_port()
    (folder / "mosquitto.conf").write_text(f"listener {broker_port} 127.0.0.1\nallow_anonymous true\n"
                                           "max_queued_messages 100000\n")
    broker = harness.Child(folder, "mosquitto", ["mosquitto", "-c", folder / "mosquitto.conf"]).start()
    harness.wait_until("the broker", lambda: harness.listens(broker_port))
    config = collectd_config(folder, devices.port, broker_port, links, points, last_uint16)
    child = harness.Child(folder, "collectd", [COLLECTD, "-f", "-C", config]).start()
    try:
        time.sleep(2 if QUICK else 4)
        devices.report()
        cpu = cpu_seconds(child.process.pid)
        time.sleep(seconds)
        cpu = cpu_seconds(child.process.pid) - cpu
        answers = devices.report()["answers"]
        if not answers:
            print(f"bench: collectd reads nothing: {child.log()[-500:]}", file=sys.stderr)
            return None
        return cpu * 1e6 / answers
    finally:
        child.end()
        broker.end()
        devices.close()
        shutil.rmtree(folder, ignore_errors=True)


# ---- the rows -----------------------------------------------------------------------------------


def row_cpu(keys, name, bound, links, points, last_uint16=False):
    seconds = 2 if QUICK else 15
    run = Run(keys, links, points, last_uint16)
    try:
        time.sleep(2 if QUICK else 4)
        ours, _ = run.measure(seconds)
    finally:
        run.end()
    missing = collectd_missing()
    theirs = None if missing else collectd_us_per_point(links, points, last_uint16, seconds)
    if theirs is None:
        if missing:
            print(f"bench: {name} without its reference: {missing}", file=sys.stderr)
        say(name, ours, "us", bound, "its bound", "at most", bound)
        return
    say(name, ours, "us", theirs, "collectd, same registers and rate", "at most", bound)
    say(name.replace("cpu_us", "cpu_vs_collectd"), ours, "us", theirs, "collectd, same registers and rate",
        "at most", 1 / 15, of_ratio=True)


def row_devices(keys):
    """500 devices; then the minute in which 5 % of them die."""
    seconds, minute = (2, 5) if QUICK else (30, 60)
    run = Run(keys, [(device, 1) for device in range(500)], 30)
    try:
        time.sleep(3 if QUICK else 5)
        run.devices.report()
        _, core = run.measure(seconds)
        calm = run.devices.report()
        resident = resident_mib(run.pid)
        run.devices.tell("die 20")
        _, dying = run.measure(minute)
        hurt = run.devices.report()
        resident_after = resident_mib(run.pid)
    finally:
        run.end()
    say("edge.devices_500.core_percent", core * 100, "%", 4, "its bound", "at most", 4)
    say("edge.devices_500.core_percent_dying", dying * 100, "%", core * 100, "the same, all alive", "at most", 4)
    say("edge.devices_500.rss_mib", max(resident, resident_after), "MiB", resident, "the same, all alive", "at most", 24)
    say("edge.devices_500.late_p99_ms", calm["p99"], "ms", max(calm["timer"], 1e-3),
        "a bare timer beside it", "at most", 5)
    say("edge.devices_500.late_p99_ms_dying", hurt["p99"], "ms", max(hurt["timer"], 1e-3),
        "a bare timer beside it", "at most", 5)


def row_rss(keys):
    """1,000 points: 20 devices of 50."""
    run = Run(keys, [(device, 1) for device in range(20)], 50)
    idle = subprocess.Popen([BENCH / "idle"])
    try:
        time.sleep(4 if QUICK else 20)
        ours = resident_mib(run.pid)
        bare = resident_mib(idle.pid)
    finally:
        idle.kill()
        idle.wait()
        run.end()
    say("edge.rss_mib", ours, "MiB", bare, "a program that only loaded the libraries", "at most", 8)


def row_scale(keys):
    """Units of 62 points: 16 on one link, and 806 on four."""
    seconds = 2 if QUICK else 15
    costs = []
    for links in ([(0, 16)], [(0, 202), (1, 202), (2, 201), (3, 201)]):
        run = Run(keys, links, 62)
        try:
            time.sleep(2 if QUICK else 4)
            costs.append(run.measure(seconds)[0])
        finally:
            run.end()
    say("edge.cpu_us_per_point.50000", costs[1], "us", costs[0], "the same at 1,000 points", "at most", 1.2, of_ratio=True)


def main():
    rows = {
        "rss": row_rss,
        "125": lambda keys: row_cpu(keys, "edge.cpu_us_per_point.125", 1.0, [(0, 40)], 63, True),
        "167x30": lambda keys: row_cpu(keys, "edge.cpu_us_per_point.167x30", 2.5,
                                       [(device, 1) for device in range(167)], 30),
        "devices": row_devices,
        "scale": row_scale,
    }
    with tempfile.TemporaryDirectory(prefix="bench-keys-") as keys:
        subprocess.run([harness.CONFIG / "demo" / "keys.sh", keys, "broker", "central", "e1"], check=True)
        for name in sys.argv[1:] or rows:
            rows[name](keys)


if __name__ == "__main__":
    main()
