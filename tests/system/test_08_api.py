"""Who may see what: login, cookie, refusals; and the answers in the form that others rely on."""

import contextlib
import http.client
import json
import socket

import pytest

import harness
from harness import Api, wait_until

READS = ["me", "sites", "points", "latest", "points/x.y.z/history", "alarms", "stream", "edges", "gaps"]
OPEN = ["health", "metrics"]


@pytest.fixture(scope="module")
def central(module_place):
    broker = module_place.broker().start()
    return module_place.central(broker, rules=[harness.CONFIG / "rules" / "demo.yaml"]).start()


@pytest.fixture(scope="module")
def cookie(central):
    return central.api.login().headers["Set-Cookie"].split(";")[0]


def is_problem(answer, status):
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == status and problem["title"]


def test_health_needs_no_login_and_names_its_causes(central):
    wait_until("the centre to be well", lambda: central.api.ask("GET", "/api/v1/health").status == 200)
    answer = central.api.ask("GET", "/api/v1/health")
    assert answer.json() == {"status": "well", "causes": []}


def test_metrics_are_open_to_this_machine_and_in_prometheus_form(central):
    answer = central.api.ask("GET", "/api/v1/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    for line in lines:
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name.split("{")[0] in names
            float(value)


@pytest.mark.parametrize("route", READS)
def test_nothing_is_read_without_a_login(central, route):
    is_problem(central.api.ask("GET", f"/api/v1/{route}"), 401)


def test_nothing_is_done_without_a_login(central):
    is_problem(central.api.ask("POST", "/api/v1/alarms/gas-leak/ack", {}, headers={"X-Chengmai": "1"}), 401)


@pytest.mark.parametrize("value", ["", "x", "0" * 43, "A" * 4000, "%00", "../../etc"])
def test_a_made_up_cookie_is_no_login(central, value):
    is_problem(central.api.ask("GET", "/api/v1/me", cookie=f"__Host-chengmai={value}"), 401)


def test_a_wrong_password_is_refused(central):
    is_problem(central.api.login(password="wrong-horse-2"), 401)


def test_a_wrong_name_is_refused_in_the_same_words(central):
    wrong_name, wrong_word = central.api.login(user="nobody"), central.api.login(password="wrong-horse-3")
    is_problem(wrong_name, 401)
    assert wrong_name.json() == wrong_word.json(), "whether a name exists is not told"
    assert "Set-Cookie" not in wrong_name.headers


def test_the_right_password_gives_a_cookie_that_stays_in_its_place(central):
    answer = central.api.login()
    assert answer.status == 200 and answer.json() == {"user": "operator", "role": "operator"}
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("__Host-chengmai=") and len(name) > 40
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"} <= set(attributes)
    assert not any(a.startswith("Domain") for a in attributes)
    me = central.api.ask("GET", "/api/v1/me", cookie=name)
    assert me.status == 200 and me.json()["user"] == "operator"


def test_a_logout_ends_the_session(central):
    cookie = central.api.login().headers["Set-Cookie"].split(";")[0]
    assert central.api.ask("POST", "/api/v1/logout", cookie=cookie, headers={"X-Chengmai": "1"}).status == 204
    is_problem(central.api.ask("GET", "/api/v1/me", cookie=cookie), 401)


def test_a_session_survives_kill_9(central):
    cookie = central.api.login().headers["Set-Cookie"].split(";")[0]
    central.kill()
    central.start()
    assert central.api.ask("GET", "/api/v1/me", cookie=cookie).status == 200
    wait_until("the centre to be well", lambda: central.api.ask("GET", "/api/v1/health").status == 200)


def test_the_password_is_in_no_file_of_the_centre(central):
    for path in central.data.rglob("*"):
        if path.is_file():
            assert harness.Central.PASSWORD.encode() not in path.read_bytes(), path
    assert harness.Central.PASSWORD not in central.log()


def test_the_session_is_kept_as_a_hash(central, cookie):
    token = cookie.split("=", 1)[1].encode()
    for path in central.data.rglob("*"):
        if path.is_file():
            assert token not in path.read_bytes(), path


@pytest.mark.parametrize("path", ["login", "logout", "alarms/gas-leak/ack"])
def test_a_post_of_another_site_is_refused(central, cookie, path):
    """Without X-Chengmai, which a form of another site cannot send."""
    is_problem(central.api.ask("POST", f"/api/v1/{path}", {"user": "operator", "password": central.PASSWORD}, cookie),
               403)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"user":"operator"}', b'{"user":5,"password":6}',
                                  b'{"user":"' + b"x" * 5000 + b'","password":"y"}', b"\x00", b"[" * 3000])
def test_what_is_no_login_is_refused_with_words(central, body):
    is_problem(central.api.ask("POST", "/api/v1/login", body, headers={"X-Chengmai": "1"}), 400)


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/", "/api/v2/me", "/api/v1/points/a/b/history",
                                  "/api/v1/alarms//ack"])
def test_an_unknown_route_is_404(central, cookie, path):
    is_problem(central.api.ask("GET", path, cookie=cookie), 404)


def test_a_wrong_method_is_405(central, cookie):
    is_problem(central.api.ask("POST", "/api/v1/latest", {}, cookie, {"X-Chengmai": "1"}), 405)
    is_problem(central.api.ask("GET", "/api/v1/login", cookie=cookie), 405)


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/latest", "/api/v1/metrics"])
def test_head_is_get_without_a_body(central, cookie, path):
    full, head = central.api.ask("GET", path, cookie=cookie), central.api.ask("HEAD", path, cookie=cookie)
    assert head.status == full.status == 200 and head.text == ""
    assert head.headers["Content-Type"] == full.headers["Content-Type"]


def test_head_without_a_login_is_401(central):
    assert central.api.ask("HEAD", "/api/v1/latest").status == 401


@pytest.mark.parametrize("route,members", [("sites", ["sites"]), ("points", ["points"]), ("latest", ["now", "values"]),
                                        ("alarms", ["alarms"]), ("edges", ["edges"]), ("gaps", ["gaps"])])
def test_reads_answer_in_json_that_no_cache_keeps(central, cookie, route, members):
    answer = central.api.ask("GET", f"/api/v1/{route}", cookie=cookie)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert sorted(answer.json()) == sorted(members)
    assert "no-store" in answer.headers.get("Cache-Control", "")


def test_history_of_no_such_point_is_404(central, cookie):
    is_problem(central.api.ask("GET", "/api/v1/points/no.such.point/history", cookie=cookie), 404)


def test_answers_carry_the_headers_that_browsers_obey(central, cookie):
    answer = central.api.ask("GET", "/api/v1/latest", cookie=cookie)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def events(port, cookie, count, headers=None):
    """The first events of the stream: (event, id, data)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10 * harness.PATIENCE)
    connection.request("GET", "/api/v1/stream", headers={"Cookie": cookie, **(headers or {})})
    response = connection.getresponse()
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/event-stream")
    found, current = [], {}
    while len(found) < count:
        line = response.readline().decode().rstrip("\n")
        if line:
            key, _, value = line.partition(": ")
            current[key] = value
        elif current:
            found.append((current.get("event"), current.get("id"), json.loads(current["data"])))
            current = {}
    connection.close()
    return found


def test_the_stream_begins_with_a_snapshot_and_beats(central, cookie):
    (first, _, snapshot), (second, _, beat) = events(central.port, cookie, 2)
    assert first == "snapshot" and {"now", "points", "values", "alarms"} <= set(snapshot)
    assert second in ("heartbeat", "samples", "alarms") and beat


def test_garbage_on_the_port_stops_nothing(central):
    for garbage in (b"\x16\x03\x01\x00\xa5\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"\r\n" * 50,
                    b"POST /api/v1/login HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", central.port), 10) as other:
            other.settimeout(10)
            with contextlib.suppress(OSError):
                other.sendall(garbage)
                other.shutdown(socket.SHUT_WR)
                other.recv(1000)
    assert central.api.ask("GET", "/api/v1/health").status == 200


def test_many_connections_at_once_leave_it_alive(central):
    held = []
    try:
        with contextlib.suppress(OSError):
            for _ in range(300):
                held.append(socket.create_connection(("127.0.0.1", central.port), 2))
    finally:
        for connection in held:
            connection.close()
    wait_until("it to answer again", lambda: central.api.ask("GET", "/api/v1/health").status == 200)


def test_it_listens_on_the_loopback_only(central):
    """Table of the kernel: the address it is bound to is 127.0.0.1."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        bound = {line.split()[1].split(":")[0] for line in list(table)[1:]
                 if line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == central.port}
    assert bound == {"0100007F"}


def test_too_many_wrong_passwords_are_slowed_down(central):
    """Last in this file: it locks the account for a while."""
    api = Api(central.port)
    answers = [api.login(password=f"wrong-horse-{n}").status for n in range(20)]
    assert set(answers) <= {401, 429} and answers[-1] == 429
