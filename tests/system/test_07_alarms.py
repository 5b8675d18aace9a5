"""From a register above its limit to the person on duty, and back; through silence, kills and a deaf provider."""

import http.server
import json
import threading

import pytest

import harness
import slaves
from harness import tcp_link, wait_until

RULES = """points:
  - {id: plant.gas.ch4, unit: "%LEL", interval: 200ms, range: [0, 100], stale_after: 3s}
  - {id: plant.gas.level, unit: m, interval: 200ms, range: [0, 1000]}
alarms:
  - id: ch4-high
    point: plant.gas.ch4
    kind: high
    limits:
      - {at: 25, priority: high, on_delay: 300ms}
      - {at: 50, priority: critical, on_delay: 300ms}
    deadband: 2
    off_delay: 500ms
    response: {zh: "撤离", en: "Leave"}
  - id: level-low
    point: plant.gas.level
    kind: low
    limits:
      - {at: 10, priority: low, on_delay: 200ms}
    off_delay: 200ms
"""


class Webhook:
    """A provider: keeps what is POSTed, answers as told."""

    def __init__(self):
        self.bodies, self.status, self.changed = [], 200, threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with outer.changed:
                    status = outer.status
                    outer.bodies.append((status, self.headers["Content-Type"], json.loads(body)))
                    outer.changed.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/alarm"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def accepted(self, alarm, event=None):
        return [body for status, _, body in list(self.bodies) if status == 200 and body["event"]["alarm"] == alarm
                and event in (None, body["event"]["event"])]

    def wait(self, what, wanted, seconds=20):
        with self.changed:
            if not self.changed.wait_for(lambda: any(map(wanted, self.bodies)), seconds * harness.PATIENCE):
                raise harness.Late(f"waited {seconds} s for {what}; got {self.bodies[-3:]}")
            return next(filter(wanted, self.bodies))


@pytest.fixture(scope="module")
def duty(module_place):
    place = module_place
    duty = type("Duty", (), {})()
    duty.slave = place.add(slaves.Slave())
    duty.unit = duty.slave.unit(1)
    (place.folder / "gas.csv").write_text(
        slaves.HEADER + "ch4,3,0,uint16,AB,0.1,0,%LEL,ro,\nlevel,3,1,uint16,AB,1,0,m,ro,\n", "utf-8")
    (place.folder / "rules.yaml").write_text(RULES, "utf-8")
    duty.unit.put(3, 0, [50, 100])
    duty.slave.start()
    duty.webhook = place.add(Webhook())
    duty.broker = place.broker().start()
    duty.central = place.central(duty.broker, rules=[place.folder / "rules.yaml"],
                                 webhooks=[f'{{name: duty-room, url: "{duty.webhook.url}"}}']).start()
    duty.edge = place.edge(duty.broker, "gas", tcp_link(
        "rtu", duty.slave.port, f'{{unit: 1, map: "{place.folder}/gas.csv", name: gas, interval: 200ms, class: safety}}'),
        site="plant").start()
    wait_until("the first value", lambda: any(
        v["point"] == "plant.gas.ch4" for v in duty.central.api.get("/api/v1/latest")["values"]))
    return duty


def set_ch4(duty, percent):
    duty.unit.put(3, 0, [round(percent * 10)])


def alarm(duty, name="ch4-high"):
    return next((a for a in duty.central.api.get("/api/v1/alarms")["alarms"] if a["id"] == name), None)


def wait_alarm(duty, what, wanted, name="ch4-high", seconds=20):
    def look():
        found = alarm(duty, name)
        return found if found and wanted(found) else None
    return wait_until(lambda: f"{name} {what}; it is {alarm(duty, name)}", look, seconds, 0.05)


def ack(duty, name="ch4-high", **body):
    return duty.central.api.call("POST", f"/api/v1/alarms/{name}/ack", body)


def test_all_is_normal_in_the_beginning(duty):
    assert (alarm(duty) or {"state": "normal"})["state"] == "normal"
    assert duty.webhook.bodies == []


def test_a_value_above_its_limit_raises_the_alarm(duty):
    set_ch4(duty, 30)
    raised = wait_alarm(duty, "to be raised", lambda a: a["state"] == "unack_active")
    assert raised["priority"] == "high" and raised["occurrence"] == 1 and raised["value"] == 30
    assert raised["unit"] == "%LEL" and raised["response"] == {"zh": "撤离", "en": "Leave"}
    assert raised["onset"] <= raised["raised"]
    assert [limit["at"] for limit in raised["limits"]] == [25, 50]


def test_the_person_on_duty_is_told(duty):
    status, kind, body = duty.webhook.wait("the raise", lambda b: b[2]["event"]["alarm"] == "ch4-high")
    assert status == 200 and kind.startswith("application/json")
    assert body["event"]["event"] == "raise" and body["event"]["occurrence"] == 1
    assert body["event"]["priority"] == "high" and body["point"] == "plant.gas.ch4" and body["unit"] == "%LEL"
    assert body["response_zh"] == "撤离"


def test_an_acknowledgement_is_by_a_person_and_stands(duty):
    answer = ack(duty, occurrence=1, note="on my way")
    assert answer.status == 202, answer.text
    acked = wait_alarm(duty, "to be acknowledged", lambda a: a["state"] == "acked_active")
    assert acked["acked_by"] == "operator"


def test_a_higher_limit_takes_the_acknowledgement_back_and_is_told(duty):
    set_ch4(duty, 60)
    higher = wait_alarm(duty, "to be critical", lambda a: a["priority"] == "critical")
    assert higher["state"] == "unack_active" and higher["occurrence"] == 1
    duty.webhook.wait("the critical limit", lambda b: b[2]["event"]["priority"] == "critical")
    assert ack(duty).status == 202
    wait_alarm(duty, "to be acknowledged again", lambda a: a["state"] == "acked_active")


def test_a_value_inside_the_deadband_does_not_clear(duty):
    before = duty.central.metric("chengmai_points_total")
    set_ch4(duty, 24)
    wait_until("some more values", lambda: duty.central.metric("chengmai_points_total") > before + 20)
    assert alarm(duty)["state"] == "acked_active"


def test_a_dead_device_does_not_clear_it(duty):
    """Silence is never good news: the alarm stands, and the instrument is an alarm of its own."""
    duty.slave.close()
    silent = wait_alarm(duty, "to be active", lambda a: a["state"] == "unack_active", "plant.gas.ch4#instrument", 30)
    assert silent["priority"] == "critical", "at the highest priority of the point's alarms"
    standing = alarm(duty)
    assert standing["state"] == "acked_active" and standing["quality"] in ("bad", "stale")
    duty.webhook.wait("the instrument's alarm", lambda b: b[2]["event"]["alarm"] == "plant.gas.ch4#instrument")


def test_its_state_survives_kill_9_of_the_centre(duty):
    before = alarm(duty)
    instrument = alarm(duty, "plant.gas.ch4#instrument")
    told = len(duty.webhook.accepted("ch4-high", "raise"))
    duty.central.kill()
    duty.central.start()
    after = wait_alarm(duty, "to be as it was", lambda a: a["state"] == before["state"])
    for key in ("occurrence", "priority", "onset", "raised", "acked_by"):
        assert after[key] == before[key], key
    assert alarm(duty, "plant.gas.ch4#instrument")["state"] == instrument["state"]
    assert len(duty.webhook.accepted("ch4-high", "raise")) == told, "and nobody is told anew"


def test_it_returns_when_the_value_is_good_and_below(duty):
    set_ch4(duty, 5)
    duty.slave.start()
    back = wait_alarm(duty, "to be normal", lambda a: a["state"] == "normal", seconds=40)
    assert back["value"] == 5 and back["quality"] == "good"
    duty.webhook.wait("the clear", lambda b: b[2]["event"]["alarm"] == "ch4-high" and b[2]["event"]["event"] in (
        "return", "clear"))


def test_a_provider_that_answers_500_is_tried_again_until_it_takes_it(duty):
    duty.webhook.status = 500
    duty.unit.put(3, 1, [5])
    wait_alarm(duty, "to be raised", lambda a: a["state"] == "unack_active", "level-low")

    def tries():
        return [b for b in list(duty.webhook.bodies) if b[0] == 500 and b[2]["event"]["alarm"] == "level-low"]
    wait_until("two tries", lambda: len(tries()) >= 2, 30)
    assert duty.webhook.accepted("level-low") == []
    # The provider has seen the second try before the centre has booked it.
    wait_until("both to be counted", lambda: (duty.central.metric("chengmai_notification_failures_total") or 0) >= 2)
    duty.central.wait_line("webhook duty-room did not take a notification.*500")
    duty.webhook.status = 200
    duty.webhook.wait("the notification", lambda b: b[0] == 200 and b[2]["event"]["alarm"] == "level-low", 60)
    first, last = tries()[0][2], duty.webhook.accepted("level-low")[0]
    assert first == last, "the same notification"


def test_what_returned_unacknowledged_waits_for_its_acknowledgement(duty):
    duty.unit.put(3, 1, [100])
    wait_alarm(duty, "to have returned", lambda a: a["state"] == "unack_returned", "level-low")
    assert ack(duty, "level-low").status == 202
    wait_alarm(duty, "to be normal", lambda a: a["state"] == "normal", "level-low")


def test_a_notification_is_not_lost_by_kill_9_of_the_centre(duty):
    """Raised, not yet accepted, killed: it goes out after the start."""
    duty.webhook.status = 500
    duty.unit.put(3, 1, [4])
    wait_alarm(duty, "to be raised anew", lambda a: a["occurrence"] == 2, "level-low")
    duty.webhook.wait("a try", lambda b: b[2]["event"]["alarm"] == "level-low" and b[2]["event"]["occurrence"] == 2)
    duty.central.kill()
    duty.webhook.status = 200
    duty.central.start()
    duty.webhook.wait("the notification", lambda b: b[0] == 200 and b[2]["event"]["alarm"] == "level-low"
                      and b[2]["event"]["occurrence"] == 2, 60)


def test_an_acknowledgement_survives_kill_9_right_after_its_answer(duty):
    """202 says that it is kept."""
    wait_alarm(duty, "to be active", lambda a: a["state"] == "unack_active", "level-low")
    assert ack(duty, "level-low", occurrence=2).status == 202
    duty.central.kill()
    duty.central.start()
    wait_alarm(duty, "to be acknowledged", lambda a: a["state"] == "acked_active", "level-low")


def test_an_alarm_of_no_such_name_changes_nothing(duty):
    before = duty.central.api.get("/api/v1/alarms")["alarms"]
    ack(duty, "nothing-of-the-kind")
    assert {a["id"] for a in duty.central.api.get("/api/v1/alarms")["alarms"]} == {a["id"] for a in before}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"occurrence":"x"}', b'{"occurrence":-1}', b'{"note":5}',
                                  b'{"occurrence":1.5}', b"\xff"])
def test_a_body_that_cannot_be_read_is_refused(duty, body):
    assert ack(duty).status in (202, 401)  # logged in
    answer = duty.central.api.ask("POST", "/api/v1/alarms/ch4-high/ack", body, duty.central.api.cookie,
                                  {"X-Chengmai": "1", "Content-Type": "application/json"})
    assert answer.status == 400 and answer.headers["Content-Type"].startswith("application/problem+json")
