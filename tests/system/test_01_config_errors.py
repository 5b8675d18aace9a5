"""A mistake in a configuration stops the start, and says where it is and what would be right."""

import re
import socket

import pytest

import harness
from harness import CONFIG, run

BROKER = 'broker: {url: "mqtts://127.0.0.1:8883", ca: ca.crt, cert: a.crt, key: a.key}\n'
GOOD = {
    "chengmai-edge": f"""edge: e1
site: plant
journal: {{path: j}}
{BROKER}links:
  - name: plc
    url: "tcp://127.0.0.1:1502"
    units:
      - {{unit: 1, map: "{CONFIG}/maps/gas-rtu.csv", name: rtu, interval: 500ms, class: safety}}
""",
    "chengmai-central": f"""centre: c1
data: d
{BROKER}http: {{listen: "127.0.0.1:8080"}}
rules: ["{CONFIG}/rules/demo.yaml"]
""",
    "chengmai-sim": f"""seed: 7
links:
  - listen: 127.0.0.1:1502
    units:
      - {{unit: 1, plant: gas, map: "{CONFIG}/maps/gas-rtu.csv"}}
scenario:
  - {{at: 1s, for: 5s, link: 0, unit: 1, kind: dead}}
""",
}
# program, what to replace, with what, line, column, words of the message
MISTAKES = [
    ("chengmai-edge", "site: plant", "sitte: plant", 2, 1, ["unknown key 'sitte'", "'site'"]),
    ("chengmai-edge", "edge: e1", "edge: e 1", 1, 7, ["'e 1'", "expected a name"]),
    ("chengmai-edge", "site: plant\n", "", 1, 1, ["'site' is missing"]),
    ("chengmai-edge", "{path: j}", "{path: j, size: 3MiBs}", 3, 26, ["'3MiBs'", "expected a size"]),
    ("chengmai-edge", "{path: j}", "{path: j, size: 100KiB}", 3, 26, ["'100KiB'", "expected a size"]),
    ("chengmai-edge", "interval: 500ms", "interval: 500", 9, None, ["'500'", "expected a duration"]),
    ("chengmai-edge", "class: safety", "class: safe", 9, None, ["'safe'", "safety, compliance, trend"]),
    ("chengmai-edge", "unit: 1,", "unit: 248,", 9, 16, ["'248'", "1..247"]),
    ("chengmai-edge", "unit: 1,", "unit: one,", 9, 16, ["'one'", "1..247"]),
    ("chengmai-edge", "tcp://127.0.0.1:1502", "tcp://plc:1502", 7, 10, ["tcp://plc:1502", "expected"]),
    ("chengmai-edge", "tcp://127.0.0.1:1502", "rtu:///dev/ttyUSB0?baud=fast", 7, 10, ["baud=fast", "expected"]),
    ("chengmai-edge", "mqtts://127.0.0.1:8883", "http://127.0.0.1", 4, None, ["http://127.0.0.1", "expected"]),
    ("chengmai-edge", "name: rtu,", "name: rtu, points: [ch44],", 9, None, ["ch44"]),
    ("chengmai-edge", "site: plant", "site: [plant]", 2, 7, ["expected"]),
    ("chengmai-edge", "site: plant", "\tsite: plant", 2, 1, ["tab"]),
    ("chengmai-edge", "site: plant", "site: plant\nsite: again", 3, None, ["site"]),
    ("chengmai-central", "http:", "htttp:", 4, 1, ["unknown key 'htttp'", "'http'"]),
    ("chengmai-central", "data: d\n", "", 1, 1, ["'data' is missing"]),
    ("chengmai-central", "127.0.0.1:8080", "localhost:8080", 4, 16, ["localhost:8080", "numeric address"]),
    ("chengmai-central", "centre: c1", "centre: c1\nstores: [{kind: oracle}]", 2, None, ["'oracle'", "embedded"]),
    ("chengmai-central", "centre: c1", "centre: c1\nwebhooks: [{name: w, url: 'ftp://x'}]", 2, None, ["ftp://x"]),
    ("chengmai-sim", "seed: 7", "seed: seven", 1, 7, ["'seven'", "whole number"]),
    ("chengmai-sim", "plant: gas", "plant: gass", 5, None, ["'gass'", "leachate, transfer, gas or kitchen"]),
    ("chengmai-sim", "kind: dead", "kind: dying", 7, None, ["'dying'", "one of"]),
    ("chengmai-sim", "at: 1s", "when: 1s", 7, None, ["unknown key 'when'"]),
]
PLACE = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): (?P<what>.+)$", re.MULTILINE)


def write(folder, text, name="given.yaml", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def told(answer):
    return [(m["file"], int(m["line"]), int(m["column"]), m["what"]) for m in PLACE.finditer(answer.stderr)]


@pytest.mark.parametrize("program", GOOD)
def test_a_good_file_is_understood_and_printed(tmp_path, program):
    path = write(tmp_path, GOOD[program])
    answer = run(program, "--config", path, "--check")
    assert answer.returncode == 0 and answer.stderr == ""
    words = {"chengmai-edge": ["e1", "500ms", "gas-rtu.csv", "points"],
             "chengmai-central": ["c1", "127.0.0.1:8080", "demo.yaml", "alarms"],
             "chengmai-sim": ["1 links", "1 incidents"]}[program]
    for word in words:
        assert word in answer.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["given.yaml"], "a check makes nothing"


@pytest.mark.parametrize("program", ["chengmai-edge", "chengmai-central"])
def test_what_is_printed_is_a_good_file_again(tmp_path, program):
    first = run(program, "--config", write(tmp_path, GOOD[program]), "--check")
    again = run(program, "--config", write(tmp_path, first.stdout, "printed.yaml"), "--check")
    assert (again.returncode, again.stdout) == (0, first.stdout)


@pytest.mark.parametrize("program,old,new,line,column,words", MISTAKES, ids=[
    f"{m[0].split('-')[1]}-{m[2].strip()[:24] or 'missing ' + m[1].strip()}" for m in MISTAKES])
def test_a_mistake_stops_the_start_and_is_placed(tmp_path, program, old, new, line, column, words):
    assert GOOD[program].count(old) == 1
    path = write(tmp_path, GOOD[program].replace(old, new))
    answer = run(program, "--config", path)
    assert answer.returncode == 2, answer.stderr
    # A key that is misspelt is also missing.
    mistakes = [t for t in told(answer) if "unknown key" not in words[0] or "is missing" not in t[3]]
    assert len(mistakes) == 1, answer.stderr
    file, at_line, at_column, what = mistakes[0]
    assert file == str(path) and at_line == line
    assert column is None or at_column == column
    for word in words:
        assert word in what, what
    assert sorted(p.name for p in tmp_path.iterdir()) == ["given.yaml"], "nothing was begun"
    # The tool for checking says the same.
    tool = run("chengmai", "check", path)
    assert tool.returncode == 1 and (file, at_line) in [t[:2] for t in told(tool)]


@pytest.mark.parametrize("program,changes,lines", [
    ("chengmai-edge", [("edge: e1", "edge: e 1"), ("{path: j}", "{pth: j}"), ("tcp://127.0.0.1:1502", "tcp://plc"),
                       ("unit: 1,", "unit: 0,")], {1, 3, 7, 9}),
    ("chengmai-central", [("centre: c1", "centre: c 1"), ("data: d", "data: d\njurnal: {}"),
                          ("127.0.0.1:8080", "nowhere")], {1, 3, 5}),
    ("chengmai-sim", [("seed: 7", "seed: -7"), ("plant: gas", "plant: gaz"), ("kind: dead", "kind: dad")], {1, 5, 7}),
])
def test_all_mistakes_are_told_in_one_run(tmp_path, program, changes, lines):
    text = GOOD[program]
    for old, new in changes:
        text = text.replace(old, new)
    answer = run(program, "--config", write(tmp_path, text))
    assert answer.returncode == 2
    assert {t[1] for t in told(answer)} == lines, answer.stderr


@pytest.mark.parametrize("program", GOOD)
def test_a_file_in_gbk_is_named_as_such(tmp_path, program):
    """As editors save it in China."""
    path = write(tmp_path, "# 渗滤液处理厂配置\n" + GOOD[program], encoding="gbk")
    answer = run(program, "--config", path)
    assert answer.returncode == 2
    file, line, _, what = told(answer)[0]
    assert (file, line) == (str(path), 1) and "GBK" in what and "UTF-8" in what


@pytest.mark.parametrize("program", GOOD)
def test_marks_and_line_ends_of_windows_are_no_mistake(tmp_path, program):
    text = b"\xef\xbb\xbf" + GOOD[program].replace("\n", "\r\n").encode()
    assert run(program, "--config", write(tmp_path, text), "--check").returncode == 0


@pytest.mark.parametrize("bytes_", [b"", b"\n", b"- a\n- b\n", b"a: &x 1\nb: *x\n", b"a: [1\n", b"\x00\x01\x02",
                                    b"a: {" * 4000, b"a: 1\n---\nb: 2\n", b"\xff\xfe\x00\x01"])
@pytest.mark.parametrize("program", GOOD)
def test_any_rubbish_is_refused_with_words(tmp_path, program, bytes_):
    answer = run(program, "--config", write(tmp_path, bytes_))
    assert answer.returncode == 2 and answer.stderr.strip()


@pytest.mark.parametrize("program", GOOD)
def test_a_file_that_is_not_there(tmp_path, program):
    answer = run(program, "--config", tmp_path / "no.yaml")
    assert answer.returncode == 2 and "no.yaml" in answer.stderr


@pytest.mark.parametrize("args", [(), ("--help",), ("--config",), ("--unknown", "x"), ("x.yaml",)])
@pytest.mark.parametrize("program", GOOD)
def test_usage(program, args):
    answer = run(program, *args)
    assert answer.returncode == 2 and f"usage: {program} --config FILE" in answer.stderr


def test_a_register_map_in_gbk_is_read(tmp_path):
    """Spreadsheets of China save GBK: maps may be."""
    header = "name,function,address,type,word_order,scale,offset,unit,access,description\n"
    write(tmp_path, header + "ch4,3,0,float32,ABCD,1,0,%LEL,ro,可燃气体\n", "gas.csv", "gbk")
    text = GOOD["chengmai-edge"].replace(f"{CONFIG}/maps/gas-rtu.csv", "gas.csv")
    assert run("chengmai-edge", "--config", write(tmp_path, text), "--check").returncode == 0


def test_mistakes_of_a_register_map_are_placed_in_it(tmp_path):
    header = "name,function,address,type,word_order,scale,offset,unit,access,description\n"
    path = write(tmp_path, header + "a,3,0,float23,ABCD,1,0,,ro,\nb,7,1,uint16,AB,1,0,,ro,\n"
                 "c,3,70000,uint16,AB,1,0,,ro,\nc,3,2,float32,ABDC,1,0,,ro,\n", "bad.csv")
    text = GOOD["chengmai-edge"].replace(f"{CONFIG}/maps/gas-rtu.csv", "bad.csv")
    for answer in (run("chengmai-edge", "--config", write(tmp_path, text)), run("chengmai", "check", path)):
        assert answer.returncode in (1, 2)
        assert {line for file, line, _, _ in told(answer) if file.endswith("bad.csv")} == {2, 3, 4, 5}


def test_mistakes_of_rules_are_placed_in_them(tmp_path):
    rules = write(tmp_path, """points:
  - {id: a.b.c, unit: x, interval: 1s}
alarms:
  - {id: one, point: a.b.c, kind: hihg, limits: [{at: 5, priority: high}]}
  - {id: two, point: a.b.d, kind: high, limits: [{at: 5, priority: high}]}
  - {id: three, point: a.b.c, kind: high, limits: [{at: 5, priority: urgent}]}
""", "rules.yaml")
    text = GOOD["chengmai-central"].replace(f"{CONFIG}/rules/demo.yaml", "rules.yaml")
    answer = run("chengmai-central", "--config", write(tmp_path, text))
    assert answer.returncode == 2
    assert {(file, line) for file, line, _, _ in told(answer)} == {(str(rules), n) for n in (4, 5, 6)}


def test_check_takes_many_files_and_tells_each(tmp_path):
    good = write(tmp_path, GOOD["chengmai-sim"], "good.yaml")
    bad = write(tmp_path, GOOD["chengmai-sim"].replace("seed", "sead"), "bad.yaml")
    answer = run("chengmai", "check", good, bad)
    assert answer.returncode == 1 and f"{good}: good" in answer.stdout and "sead" in answer.stderr
    assert run("chengmai", "check", good).returncode == 0
    assert run("chengmai", "check").returncode == 2
    assert run("chengmai", "check", tmp_path / "none.yaml").returncode == 2


def test_all_that_ships_is_good():
    files = [*CONFIG.glob("*.yaml"), *CONFIG.glob("rules/*.yaml"), *CONFIG.glob("maps/*.csv")]
    assert len(files) >= 6
    answer = run("chengmai", "check", *files)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_port_that_is_taken_is_said(place, keys):
    """Nothing wrong with the file: exit 1, and what to look for."""
    broker = harness.Broker(place.folder, keys)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        central = place.central(broker)
        central.config.write_text(central.config.read_text("utf-8").replace(
            str(central.port), str(other.getsockname()[1])), "utf-8")
        harness.Child.start(central)
        assert central.wait() == 1
    assert "127.0.0.1" in central.log() and "in use" in central.log()
