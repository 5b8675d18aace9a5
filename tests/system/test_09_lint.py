"""The rules of the house are checked by lint.sh: planted in a copy of the tree, each violation is found and placed."""

import shutil
import subprocess

import pytest

import harness

SHARED = ("collector", "drivers", "tests", "Makefile", ".clang-format")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of what lint.sh looks at."""
    folder = tmp_path_factory.mktemp("tree")
    for name in SHARED:
        source = harness.ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def lint(tree):
    answer = subprocess.run([harness.ROOT / "tests" / "lint" / "lint.sh", tree], capture_output=True, text=True,
                            timeout=300 * harness.PATIENCE, check=False)
    return answer.returncode, answer.stderr + answer.stdout


def plant(tree, path, text):
    target = tree / path
    assert not target.exists()
    target.write_text(text, "utf-8")


# file, its text, what lint says of it
VIOLATIONS = [
    ("collector/base/up.c", '#include "model/sample.h"\n', "collector/base/up.c:1: base may not include"),
    ("collector/store/side.c", '#include "base/error.h"\n#include "net/http.h"\n',
     "collector/store/side.c:2: store may not include"),
    ("drivers/modbus/side.c", '#include "store/journal.h"\n', "drivers/modbus/side.c:1: drivers may not include"),
    ("collector/edge/side.c", '#include "central/ingest.h"\n', "collector/edge/side.c:1: edge may not include"),
    ("collector/model/bare.c", '#include "sample.h"\n', 'collector/model/bare.c:1: include "sample.h" by its layer'),
    ("collector/model/lonely.h", "#ifndef MODEL_LONELY_H\n#define MODEL_LONELY_H\n\nuint64_t lonely(void);\n\n#endif\n",
     "collector/model/lonely.h does not compile alone"),
    ("collector/model/unguarded.h", "extern int unguarded;\n", "collector/model/unguarded.h: its guard should be"),
    ("collector/net/second.c", "#include <MQTTAsync.h>\n", "collector/net/second.c:1: <MQTT"),
    ("collector/store/second.c", "#include <sqlite3.h>\n", "collector/store/second.c:1: <sqlite3"),
    ("drivers/modbus/second.c", "#include <modbus/modbus.h>\n", "drivers/modbus/second.c:1: <modbus"),
    ("collector/base/unbounded.c", "void copy(char *to);\nvoid copy(char *to)\n{\n    strcpy(to, \"x\");\n}\n",
     "collector/base/unbounded.c:4: unbounded text"),
    ("collector/ctl/lenient.c", "int f(void);\nint f(void)\n{\n    return atoi(\"1\");\n}\n",
     "collector/ctl/lenient.c:4: lenient"),
    ("drivers/modbus/writes.c", "int f(void *c);\nint f(void *c)\n{\n    return modbus_write_register(c, 0, 1);\n}\n",
     "drivers/modbus/writes.c:4: Chengmai never writes to an instrument"),
    ("collector/strange/file.c", "int strange;\n", None),
]


def test_the_tree_as_it_is_has_nothing_to_complain_about(tree):
    status, said = lint(tree)
    assert status == 0, said


def test_each_planted_violation_is_found_and_placed(tree):
    """All at once, since a run looks at everything."""
    planted = [v for v in VIOLATIONS if v[2]]
    try:
        for path, text, _ in planted:
            plant(tree, path, text)
        status, said = lint(tree)
        assert status == 1
        for path, _, words in planted:
            assert words in said, f"{path}: not a word of '{words}' in:\n{said}"
    finally:
        for path, _, _ in planted:
            (tree / path).unlink(missing_ok=True)


@pytest.mark.parametrize("path,text,words", [v for v in VIOLATIONS if v[2]][:2], ids=["upward", "sideways"])
def test_one_violation_is_enough_to_fail(tree, path, text, words):
    plant(tree, path, text)
    try:
        status, said = lint(tree)
        assert status == 1 and words in said and "1 complaints" in said
    finally:
        (tree / path).unlink()
