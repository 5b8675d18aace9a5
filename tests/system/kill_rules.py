"""What holds after any number of kills. `after` is a county that has come to its end: county.After."""

import collections
import json
import re

import county as counties
import harness


def test_the_books_are_balanced(after):
    assert after.books.missing == 0, after.books
    assert after.books.answer.returncode == 0
    assert after.books.read == after.books.stored + after.books.held + after.books.ledger
    assert after.books.stored > 100


def test_no_hole_is_open(after):
    assert [gap for gap in after.gaps if gap["open"]] == []


def test_every_loss_has_a_cause_and_no_samples_unless_it_says_so(after):
    for gap in after.gaps:
        assert gap["cause"] in ("restart", "space", "damage", "epoch"), gap
    assert sum(gap["points"] for gap in after.gaps) >= after.books.ledger


def contents(folder, kinds=("birth", "data", "loss")):
    """(epoch, stream, sequence) → the bytes of all records under that number."""
    found = collections.defaultdict(set)
    for line in counties.dump(folder):
        record = json.loads(line)
        if record["kind"] in kinds:
            found[(record["epoch"], record["stream"], record["seq"])].add(line)
    return found


def test_no_sequence_was_used_twice(after):
    """One number, one content: within each journal, and in an edge's and the centre's."""
    arrived = contents(after.county.central.data / "journal")
    assert arrived and all(len(lines) == 1 for lines in arrived.values())
    for edge in after.county.edges.values():
        kept = contents(edge.journal)
        assert kept and all(len(lines) == 1 for lines in kept.values())
        assert kept.keys() <= arrived.keys(), "all that the edge kept has arrived"
        assert {key: arrived[key] for key in kept} == dict(kept), "to the byte"


def test_the_edges_journals_are_whole(after):
    for edge in after.county.edges.values():
        answer = harness.run("chengmai", "journal", "verify", edge.journal)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_centres_journal_has_holes_only_before_a_start(after):
    """Numbers that were reserved before a kill are passed over; each run begins with a start."""
    folder = after.county.central.data / "journal"
    answer = harness.run("chengmai", "journal", "verify", folder)
    holes = re.findall(r" j (\d+)\.\.(\d+): missing", answer.stdout)
    assert "damage" not in answer.stdout
    starts = {json.loads(line)["seq"] for line in counties.dump(folder) if json.loads(line)["kind"] == "start"}
    assert {int(last) + 1 for _, last in holes} <= starts


def test_one_epoch_for_each_edge(after):
    """A kill is no reason to begin anew."""
    for edge in after.county.edges.values():
        assert len({key[0] for key in contents(edge.journal)}) == 1
