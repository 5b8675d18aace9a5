"""The simulator's serial lines, read by two foreign clients: mbpoll, and pymodbus as Debian ships it."""

import re
import subprocess

import pytest
from pymodbus.client import ModbusSerialClient

import harness

MAP = ("name,function,address,type,word_order,scale,offset,unit,access,description\n"
       "a,3,0,uint16,AB,1,0,,ro,\nb,3,1,float32,CDAB,1,0,,ro,\nc,4,7,int16,AB,1,0,,ro,\n")
SERIES = "time,a,b,c\n2026-01-05 08:00:00,{a},{b},{c}\n"


@pytest.fixture
def line(place):
    """Two units on one line, each showing one row of figures of its own; and a noisy line beside it."""
    folder = place.folder
    (folder / "map.csv").write_text(MAP, "utf-8")
    for unit in (3, 200):
        (folder / f"{unit}.csv").write_text(SERIES.format(a=unit, b=unit + 0.5, c=-unit), "utf-8")
    units = "".join(f'      - {{unit: {unit}, map: map.csv, replay: {{file: {unit}.csv}}}}\n' for unit in (3, 200))
    sim = place.sim("seed: 7\nlinks:\n"
                    f"  - listen: pty:quiet\n    units:\n{units}"
                    f"  - listen: pty:noisy\n    baud: 57600\n    units:\n{units}"
                    "scenario:\n  - {at: 0s, for: 1h, link: 1, kind: noise, amount: 0.4}\n")
    sim.start()
    sim.wait_line("link 1 listens on .*noisy with 2 units")
    return sim


def mbpoll(path, unit, *options):
    return subprocess.run(["mbpoll", "-m", "rtu", "-a", str(unit), "-b", "9600", "-P", "none", "-s", "2", "-1", "-0", "-q",
                           "-o", "0.5", *options, str(path)], capture_output=True, text=True, timeout=30, check=False)


def client(path):
    # It cannot open a pseudo-terminal with parity, and cuts its timeout to whole seconds.
    client = ModbusSerialClient(str(path), baudrate=57600, parity="N", stopbits=2, timeout=1, retries=0)
    assert client.connect()
    return client


def test_mbpoll_reads_each_unit_of_a_line(line):
    for unit in (3, 200):
        answer = mbpoll(line.folder / "quiet", unit, "-t", "4", "-r", "0", "-c", "1")
        assert re.search(rf"\[0\]:\s+{unit}$", answer.stdout, re.MULTILINE), answer.stdout + answer.stderr
        answer = mbpoll(line.folder / "quiet", unit, "-t", "3", "-r", "7", "-c", "1")
        assert re.search(rf"\[7\]:\s+\d+ \(-{unit}\)$", answer.stdout, re.MULTILINE), answer.stdout + answer.stderr


def test_nobody_answers_for_a_unit_that_is_not_there(line):
    answer = mbpoll(line.folder / "quiet", 9, "-t", "4", "-r", "0", "-c", "1")
    assert answer.returncode != 0
    assert "timed out" in answer.stderr.lower() + answer.stdout.lower()
    assert line.stop() == 0
    assert re.search(r"link 0: requests 1, replies 0, .* foreign 1,", line.log()), line.log()[-800:]


def test_a_noisy_line_spoils_replies_and_never_a_value(line):
    reader = client(line.folder / "noisy")
    good = bad = 0
    for turn in range(40):
        unit = (3, 200)[turn % 2]
        answer = reader.read_holding_registers(0, 1, slave=unit)
        if answer is None or answer.isError():
            bad += 1
            reader.close()  # it opens the line anew, and empties it
            reader = client(line.folder / "noisy")
        else:
            assert answer.registers == [unit]
            good += 1
    reader.close()
    assert good and bad, f"{good} good, {bad} bad"
    assert line.stop() == 0
    counts = {name: int(n) for name, n in re.findall(r"(\w+) (\d+)", re.search(r"link 1: (.*)", line.log())[1])}
    assert counts["requests"] == 40
    assert counts["lost"] + counts["garbled"] == bad, counts


def test_the_line_is_gone_with_the_simulator(line):
    assert (line.folder / "quiet").is_symlink()
    assert line.stop() == 0
    assert not (line.folder / "quiet").is_symlink()


def test_what_lies_in_the_way_is_not_replaced(place):
    (place.folder / "map.csv").write_text(MAP, "utf-8")
    (place.folder / "3.csv").write_text(SERIES.format(a=1, b=2, c=3), "utf-8")
    (place.folder / "line").write_text("mine", "utf-8")
    (place.folder / "sim.yaml").write_text(
        "links:\n  - listen: pty:line\n    units:\n      - {unit: 3, map: map.csv, replay: {file: 3.csv}}\n", "utf-8")
    answer = harness.run("chengmai-sim", "--config", place.folder / "sim.yaml")
    assert answer.returncode == 1
    assert str(place.folder / "line") in answer.stderr
    assert (place.folder / "line").read_text("utf-8") == "mine"
