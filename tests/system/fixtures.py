"""Fixtures of the system tests: keys once, a place for each module, logs where a test fails."""

import subprocess

import pytest

pytest.register_assert_rewrite("county", "hand", "harness", "ill_lines", "kill_rules", "slaves")

import harness  # noqa: E402

NAMES = ("broker", "central", "leachate", "transfer", "gas", "e1", "e2")


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A CA and certificates, as config/demo/keys.sh makes them."""
    folder = tmp_path_factory.mktemp("keys")
    subprocess.run([harness.CONFIG / "demo" / "keys.sh", folder, *NAMES], check=True)
    return folder


@pytest.fixture(scope="session")
def foreign_keys(tmp_path_factory):
    """The same names, certified by another CA."""
    folder = tmp_path_factory.mktemp("foreign-keys")
    subprocess.run([harness.CONFIG / "demo" / "keys.sh", folder, *NAMES[1:]], check=True)
    return folder


def _place(request, tmp_path_factory, keys, name):
    place = harness.Place(tmp_path_factory.mktemp(name), keys)
    request.node.stash.setdefault(PLACES, []).append(place)
    return place


PLACES = pytest.StashKey()


@pytest.fixture(scope="module")
def module_place(request, tmp_path_factory, keys):
    """Shared by the tests of a file."""
    place = _place(request, tmp_path_factory, keys, request.module.__name__)
    yield place
    place.end()


@pytest.fixture
def place(request, tmp_path_factory, keys):
    """A test's own."""
    place = _place(request, tmp_path_factory, keys, "place")
    yield place
    place.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    places = item.stash.get(PLACES, []) + item.getparent(pytest.Module).stash.get(PLACES, [])
    for place in places:
        report.sections.append((f"children in {place.folder}", place.show()))
