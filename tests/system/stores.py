"""Time-series stores outside the centre: Debian's InfluxDB and VictoriaMetrics, and one by hand."""

import base64
import contextlib
import http.client
import http.server
import json
import sqlite3
import threading
import urllib.parse

from harness import Child, Late, free_port, wait_until


def ask(port, method, path, body=None, headers=None, timeout=20):
    """Status and body; 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def close(a, b):
    """Equal, or as near as VictoriaMetrics keeps numbers: decimal, with one exponent for a block of them."""
    return a == b or (a is not None and b is not None and abs(a - b) <= 1e-10 * max(abs(a), abs(b)))


class Store(Child):
    """A store as a child; `yaml` is its entry in central.yaml."""

    def __init__(self, folder, name, command):
        self.port = free_port()
        super().__init__(folder, name, command)

    def start(self):
        super().start()

        def look():
            if not self.alive():
                raise Late(f"{self.name} ended: {self.log()[-2000:]}")
            return self.answers()
        wait_until(f"{self.name} to answer", look, 30)
        return self

    def restart(self):
        self.kill()
        return self.start()


class InfluxDb(Store):
    def __init__(self, folder, name="influxdb", auth=False):
        super().__init__(folder, name, ["influxd", "-config", f"{name}.conf"])
        data = self.folder / f"{name}-data"
        self.user = None
        (self.folder / f"{name}.conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\n  dir = "{data}/meta"\n[data]\n  dir = "{data}/data"\n  wal-dir = "{data}/wal"\n'
            '[monitor]\n  store-enabled = false\n'
            f'[http]\n  bind-address = "127.0.0.1:{self.port}"\n  log-enabled = false\n'
            f'  auth-enabled = {str(auth).lower()}\n', "utf-8")

    def yaml(self, more=""):
        return f'{{kind: influxdb, name: {self.name}, url: "http://127.0.0.1:{self.port}"{more}}}'

    def answers(self):
        return ask(self.port, "GET", "/ping")[0] == 204

    def headers(self):
        if not self.user:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(self.user).encode()).decode()}

    def query(self, text, database="chengmai"):
        """The series of the only statement: columns and values."""
        form = urllib.parse.urlencode({"q": text, "db": database, "epoch": "ms"})
        status, body = ask(self.port, "POST", "/query", form,
                           {"Content-Type": "application/x-www-form-urlencoded", **self.headers()})
        assert status == 200, f"{text}: {status} {body}"
        result = json.loads(body)["results"][0]
        assert "error" not in result, f"{text}: {result}"
        return result.get("series", [])

    def write(self, lines, database="chengmai"):
        return ask(self.port, "POST", f"/write?db={database}&precision=ms", lines, self.headers())

    def count(self):
        with contextlib.suppress(AssertionError):
            series = self.query("SELECT count(q) FROM chengmai")
            return series[0]["values"][0][1] if series else 0
        return None

    def samples(self):
        """point → [(t, value, text, q)], by time."""
        found = {}
        for series in self.query("SELECT value, text, q FROM chengmai GROUP BY point"):
            at = [series["columns"].index(name) for name in ("time", "value", "text", "q")]
            found[series["tags"]["point"]] = [tuple(row[i] for i in at) for row in series["values"]]
        return found


class VictoriaMetrics(Store):
    def __init__(self, folder, name="victoriametrics"):
        super().__init__(folder, name, [])
        self.command = ["victoria-metrics", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
                        f"-storageDataPath={self.folder}/{name}-data", "-dedup.minScrapeInterval=1ms",
                        "-search.latencyOffset=0s", "-loggerLevel=WARN"]

    def yaml(self, kind="victoriametrics", more=""):
        return f'{{kind: {kind}, name: {self.name}, url: "http://127.0.0.1:{self.port}"{more}}}'

    def answers(self):
        return ask(self.port, "GET", "/health")[0] == 200

    def series(self, name):
        """Labels → [(t, number)] of a metric, in the order of time."""
        ask(self.port, "GET", "/internal/force_flush")
        status, body = ask(self.port, "GET", "/api/v1/export?" + urllib.parse.urlencode(
            {"match[]": name, "start": "1970-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}))
        assert status == 200, body
        found = {}
        for line in body.splitlines():
            part = json.loads(line)
            key = tuple(sorted((k, v) for k, v in part["metric"].items() if k != "__name__"))
            found.setdefault(key, []).extend(zip(part["timestamps"], part["values"]))
        return {key: sorted(rows) for key, rows in found.items()}

    def query(self, text):
        """By the Prometheus API: the number of the only series."""
        ask(self.port, "GET", "/internal/force_flush")
        status, body = ask(self.port, "GET", "/api/v1/query?" + urllib.parse.urlencode(
            {"query": text, "nocache": "1"}))
        if status != 200:
            return None
        result = json.loads(body)["data"]["result"]
        return float(result[0]["value"][1]) if result else 0

    def count(self):
        return self.query("sum(count_over_time(chengmai_q[50y]))")

    def samples(self):
        """point → [(t, value, None, q)], by time."""
        values = {dict(key)["point"]: dict(rows) for key, rows in self.series("chengmai_value").items()}
        return {dict(key)["point"]: [(t, values.get(dict(key)["point"], {}).get(t), None, q) for t, q in rows]
                for key, rows in self.series("chengmai_q").items()}


class StubStore:
    """A store that answers writes as `script` says, each by (status, headers, body), then with 204; "hang" holds
    the answer back until close()."""

    def __init__(self):
        self.requests = []
        self.taken = set()  # lines
        self.script = []
        self.refuse = lambda body: None
        self.released = threading.Event()
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                stub.requests.append((self.path, self.headers, body))
                answer = stub.script.pop(0) if stub.script else stub.refuse(body) or (204, {}, "")
                if answer == "hang":
                    stub.released.wait()
                    return
                status, headers, text = answer
                if status == 204:
                    stub.taken.update(body.splitlines())
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


def embedded_samples(central):
    """point → [(t, value, text, q)] of the embedded store, by time and tie."""
    found = {}
    with contextlib.closing(sqlite3.connect(f"file:{central.data}/history.db?mode=ro", uri=True)) as history:
        for point, *row in history.execute("SELECT p.point, s.t_ms, s.value, s.text, s.q & 65535 FROM samples s JOIN "
                                           "points p ON p.id = s.point ORDER BY p.point, s.t_ms, s.tie"):
            found.setdefault(point, []).append(tuple(row))
    return found
