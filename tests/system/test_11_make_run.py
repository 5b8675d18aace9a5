"""The runner behind `make run`: a whole county from nothing, its books at the end, and nothing left behind."""

import os
import re
import shutil
import signal
import subprocess

import pytest

import harness

RUNNER = harness.ROOT / "config" / "demo" / "run.sh"


@pytest.fixture
def run_folder():
    """Below the tree, so that the runner may be given folders that are named from there."""
    folder = harness.BUILD / f"run-test-{os.getpid()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def environment(run_folder, **more):
    def below(path):
        return os.path.relpath(path, harness.ROOT)
    return {**os.environ, "BIN": below(harness.BIN), "BUILD": below(harness.BUILD), "RUN_DIR": below(run_folder),
            "HTTP_PORT": str(harness.free_port()), **more}


def processes_of(run_folder):
    """Whoever has the folder in its command line."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as line:
                    command = line.read()
            except OSError:
                continue
            if str(run_folder).encode() in command:
                found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


def test_run_for_a_while_ends_with_balanced_books_and_leaves_no_process(run_folder):
    log = subprocess.run([RUNNER], env=environment(run_folder, RUN_FOR="4s"), capture_output=True, text=True,
                         timeout=180 * harness.PATIENCE, check=False)
    said = log.stdout + log.stderr
    assert log.returncode == 0, said
    books = re.search(r"^points read (\d+), stored (\d+), held (\d+), ledger (\d+), missing 0, alarms raised \d+$",
                      log.stdout.strip().splitlines()[-1])
    assert books, said
    read, stored, held, ledger = map(int, books.groups())
    assert read == stored + held + ledger and stored > 50
    assert re.search(r"dashboard +http://127\.0\.0\.1:\d+/", log.stdout)
    password = re.search(r"account +operator +password (\S+)", log.stdout)[1]
    assert len(password) >= 12
    assert processes_of(run_folder) == []


def test_a_store_that_is_not_there_is_refused(run_folder):
    log = subprocess.run([RUNNER], env=environment(run_folder, STORE="oracle"), capture_output=True, text=True,
                         timeout=30, check=False)
    assert log.returncode == 2 and "oracle" in log.stderr


def test_a_duration_that_cannot_be_read_is_refused(run_folder):
    log = subprocess.run([RUNNER], env=environment(run_folder, RUN_FOR="soon"), capture_output=True, text=True,
                         timeout=30, check=False)
    assert log.returncode == 2 and "soon" in log.stderr


@pytest.mark.parametrize("there, here, agree", [
    ("12", "12", True), ("12", "13", False), ("", "", False), ("", "0", False), ("0", "0", True)])
def test_a_store_agrees_by_numbers_only(there, here, agree):
    """Two questions that fail have equal answers too."""
    text = RUNNER.read_text("utf-8")
    rule = text[text.index("store_has_all() {"):]
    rule = rule[:rule.index("\n}\n") + 3]
    asked = subprocess.run(["bash", "-c", f"store_count() {{ echo '{there}'; }}; metric() {{ echo '{here}'; }}\n"
                            f"{rule}store_has_all"], timeout=30, check=False)
    assert asked.returncode == (0 if agree else 1)


def test_ctrl_c_stops_all_of_it(run_folder, place):
    """As the terminal sends it: to the whole foreground group. Folders may be named whole."""
    whole = environment(run_folder, BIN=str(harness.BIN), BUILD=str(harness.BUILD), RUN_DIR=str(run_folder))
    runner = place.add(harness.Child(place.folder, "runner", [RUNNER], whole)).start()
    runner.wait_line("Chengmai .* runs", 90)
    assert (run_folder / "pid").is_dir()
    runner.signal(signal.SIGINT)
    assert runner.wait(90) == 130
    assert processes_of(run_folder) == []
