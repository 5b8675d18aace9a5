/* YAML by tables: every mistake is told with its place, its line and what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/config_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct object {
    char name[65], note[32], file[1024];
    int64_t unit, timeout_ms;
    uint64_t size;
    double limit;
    bool on;
    int class_;
    const struct yaml_node *list;
};

static const char *const classes[] = {"safety", "trend", NULL};

#define AT(field) offsetof(struct object, field)
static const struct config_key keys[] = {
    {"name", CONFIG_NAME, AT(name), 65, 0, 0, NULL, NULL, false, "", ""},
    {"note", CONFIG_TEXT, AT(note), 32, 0, 0, "", NULL, false, "", ""},
    {"file", CONFIG_PATH, AT(file), 1024, 0, 0, "journal", NULL, false, "", ""},
    {"unit", CONFIG_INT, AT(unit), 0, 1, 247, "1", NULL, false, "", ""},
    {"timeout", CONFIG_DURATION, AT(timeout_ms), 0, 10, 60000, "500ms", NULL, false, "", ""},
    {"size", CONFIG_SIZE, AT(size), 0, 1024, 4096, "2KiB", NULL, false, "", ""},
    {"limit", CONFIG_DOUBLE, AT(limit), 0, -1, 1, "0.5", NULL, false, "", ""},
    {"on", CONFIG_BOOL, AT(on), 0, 0, 0, "true", NULL, false, "", ""},
    {"class", CONFIG_CHOICE, AT(class_), 0, 0, 0, "trend", classes, false, "", ""},
    {"list", CONFIG_SUBTREE, AT(list), 0, 0, 0, "", NULL, false, "", ""},
    {0},
};

struct run {
    struct yaml_tree *tree;
    struct config_errors errors;
    struct object object;
    int err;
};

static void run_bytes(struct run *run, const char *text, size_t len)
{
    *run = (struct run){0};
    config_errors_init(&run->errors);
    run->err = yaml_read_text("etc/f.yaml", text, len, &run->tree, &run->errors);
    if (!run->err)
        config_read(run->tree, yaml_root(run->tree), keys, &run->object, &run->errors);
}

static void end(struct run *run)
{
    yaml_free(run->tree);
    config_errors_release(&run->errors);
}

static const char *told(const struct run *run)
{
    return buffer_text(&run->errors.text);
}

/* Exactly these words, in this order, and nothing else. */
static void expect(const char *text, const char *words)
{
    struct run run;
    run_bytes(&run, text, strlen(text));
    assert_string_equal(told(&run), words);
    end(&run);
}

/* `count` mistakes; the text begins thus. */
static void expect_start(const char *text, size_t count, const char *words)
{
    struct run run;
    run_bytes(&run, text, strlen(text));
    if (strncmp(told(&run), words, strlen(words)) != 0)
        fail_msg("expected: %s\ntold: %s", words, told(&run));
    assert_int_equal(run.errors.count, count);
    end(&run);
}

static void defaults_stand_where_nothing_is_said(void **state)
{
    (void)state;
    struct run run;
    run_bytes(&run, "name: n\n", 8);
    assert_string_equal(told(&run), "");
    assert_string_equal(run.object.name, "n");
    assert_string_equal(run.object.note, "");
    assert_string_equal(run.object.file, "etc/journal");
    assert_int_equal(run.object.unit, 1);
    assert_int_equal(run.object.timeout_ms, 500);
    assert_int_equal(run.object.size, 2048);
    assert_true(run.object.limit > 0.49 && run.object.limit < 0.51);
    assert_true(run.object.on);
    assert_int_equal(run.object.class_, 1);
    assert_null(run.object.list);
    end(&run);
}

static void every_type_is_read(void **state)
{
    (void)state;
    static const char text[] =
        "{name: a.b-c, note: '温度 no', file: /abs, unit: 247, timeout: 1s,\n"
        " size: 4KiB, limit: -1, on: false, class: safety, list: [x, y]}";
    struct run run;
    run_bytes(&run, text, strlen(text));
    assert_string_equal(told(&run), "");
    assert_string_equal(run.object.note, "温度 no");
    assert_string_equal(run.object.file, "/abs");
    assert_int_equal(run.object.unit, 247);
    assert_int_equal(run.object.timeout_ms, 1000);
    assert_int_equal(run.object.size, 4096);
    assert_true(run.object.limit < -0.99);
    assert_false(run.object.on);
    assert_int_equal(run.object.class_, 0);
    assert_int_equal(run.object.list->count, 2);
    assert_string_equal(run.object.list->first->next->text, "y");
    end(&run);
}

static void an_unknown_key_names_the_nearest(void **state)
{
    (void)state;
    expect("name: n\ntimout: 1s\n",
           "etc/f.yaml:2:1: unknown key 'timout'; did you mean 'timeout'?\n"
           "    timout: 1s\n    ^\n");
    expect_start("name: n\nqqqqqq: 1\n", 1,
                 "etc/f.yaml:2:1: unknown key 'qqqqqq'; expected one of name, note, file, unit,");
}

static void several_mistakes_are_told_in_one_run(void **state)
{
    (void)state;
    expect("unit: one\nlimit: 2\non: no\n",
           "etc/f.yaml:1:7: 'one'; expected a whole number 1..247 for 'unit'\n"
           "    unit: one\n          ^\n"
           "etc/f.yaml:2:8: '2'; expected a number -1..1 for 'limit'\n"
           "    limit: 2\n           ^\n"
           "etc/f.yaml:3:5: 'no'; expected true or false for 'on'\n"
           "    on: no\n        ^\n"
           "etc/f.yaml:1:1: 'name' is missing; expected a name of letters, digits, '_', '.' and "
           "'-', at most 64\n"
           "    unit: one\n    ^\n");
}

static void bounds_and_forms_are_held(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "unit: 0",     "unit: 248",    "unit: 0x10",   "unit: 1.0",
        "unit: +1",    "timeout: 9ms", "timeout: 61s", "timeout: 500",
        "size: 1023B", "size: 5KiB",   "size: 2000",   "limit: nan",
        "limit: 1.01", "on: True",     "on: yes",      "class: Trend",
        "class: ''",   "unit: ''",     "file: ''",     "unit:",
        "unit: [1]",   "unit: {a: 1}", "note: [x]",    "note: 12345678901234567890123456789012",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[100];
        snprintf(text, sizeof(text), "name: n\n%s\n", wrong[i]);
        struct run run;
        run_bytes(&run, text, strlen(text));
        if (run.errors.count != 1 || strncmp(told(&run), "etc/f.yaml:2:", 13) != 0)
            fail_msg("%s: %zu mistakes: %s", wrong[i], run.errors.count, told(&run));
        end(&run);
    }
    expect_start("name: ''\n", 1, "etc/f.yaml:1:7: nothing; expected a name");
    expect_start("name: a/b\n", 1, "etc/f.yaml:1:7: 'a/b'; expected a name");
    expect_start("name: .a\n", 1, "etc/f.yaml:1:7: '.a'; expected a name");
}

static void columns_count_characters_and_the_caret_stands_under_them(void **state)
{
    (void)state;
    expect("{name: n, note: 温度, unit: x}\n",
           "etc/f.yaml:1:27: 'x'; expected a whole number 1..247 for 'unit'\n"
           "    {name: n, note: 温度, unit: x}\n"
           "                                ^\n");
}

static void a_key_twice_tells_both_lines(void **state)
{
    (void)state;
    expect_start("name: n\nunit: 1\nname: m\n", 1,
                 "etc/f.yaml:3:1: key 'name' stands here a second time (first in line 1)\n");
}

static void a_tab_is_called_a_tab(void **state)
{
    (void)state;
    expect_start("list:\n\t- a\n", 1, "etc/f.yaml:2:1: a tab cannot indent; expected blanks");
    expect_start("name: n\n\tunit: 2\n", 1, "etc/f.yaml:2:1: a tab cannot indent");
}

static void of_a_file_that_does_not_parse_only_that_is_told(void **state)
{
    (void)state;
    expect_start("unit: 1\nunit: 2\nlist: [1, 2\nsize: 3\n", 1, "etc/f.yaml:4:5: did not find");
    expect_start("name: @n\n", 1, "etc/f.yaml:1:7: '@' cannot begin a text; quote it\n");
    expect_start("name: a: b\n", 1, "etc/f.yaml:1:8: mapping values are not allowed");
}

static void a_control_character_has_its_place_and_never_reaches_the_terminal(void **state)
{
    (void)state;
    expect("name: n\nnote: 温\x07z\n", "etc/f.yaml:2:8: control characters are not allowed\n"
                                       "    note: 温?z\n            ^\n");
    struct run run;
    static const char escape[] = "name: n\n\"\\e[31m\": 1\nunit: \"\\u009b\"\n";
    run_bytes(&run, escape, strlen(escape));
    assert_int_equal(run.errors.count, 2);
    assert_null(strchr(told(&run), '\x1b'));
    assert_null(strstr(told(&run), "\xc2\x9b"));
    end(&run);
}

static void what_yaml_has_and_we_do_not_is_refused(void **state)
{
    (void)state;
    expect_start("name: n\nnote: *x\n", 1, "etc/f.yaml:2:7: aliases (*name) are not read");
    expect_start("name: &x n\n", 1, "etc/f.yaml:1:7: anchors (&name) are not read");
    expect_start("name: !!str n\n", 1, "etc/f.yaml:1:7: tags (!name) are not read");
    expect_start("name: n\n---\nname: m\n", 1, "etc/f.yaml:2:1: a second document");
    expect_start("[a]: b\n", 1, "etc/f.yaml:1:1: a key must be a word");
    expect_start("name: \"a\\0b\"\n", 1, "etc/f.yaml:1:7: a NUL character");
}

static void what_is_no_map_is_refused(void **state)
{
    (void)state;
    expect_start("", 1, "etc/f.yaml:1:1: expected `key: value` lines, and found none");
    expect_start("# nothing\n", 1, "etc/f.yaml:1:1: expected `key: value`");
    expect_start("- a\n", 1, "etc/f.yaml:1:1: expected `key: value`");
}

static void a_file_that_is_not_utf8_says_how_to_save_it(void **state)
{
    (void)state;
    expect_start("name: n\n# \xce\xc2\xb6\xc8\n", 1,
                 "etc/f.yaml:2:3: this file is saved as GBK; save it as UTF-8");
    expect_start("name: \xff\xff\n", 1, "etc/f.yaml:1:7: not UTF-8 text");
    struct run run;
    run_bytes(&run, "name: \0n\n", 9);
    assert_non_null(strstr(told(&run), "NUL"));
    assert_int_equal(run.err, ERR_INVALID);
    end(&run);
}

static void a_byte_order_mark_and_carriage_returns_change_no_place(void **state)
{
    (void)state;
    expect("\xef\xbb\xbfname: n\r\nunit: x\r\n",
           "etc/f.yaml:2:7: 'x'; expected a whole number 1..247 for 'unit'\n"
           "    unit: x\n          ^\n");
}

static void depth_keys_and_size_are_bounded(void **state)
{
    (void)state;
    char deep[64] = "list: ";
    memset(deep + 6, '[', 15);
    memset(deep + 21, ']', 15);
    struct run run;
    run_bytes(&run, deep, strlen(deep)); /* 16 levels with the file's own */
    assert_int_equal(run.err, 0);
    end(&run);
    memset(deep + 6, '[', 16);
    expect_start(deep, 1, "etc/f.yaml:1:22: nested too deeply; at most 16 levels");

    struct buffer text;
    buffer_init(&text, 2 << 20);
    for (int i = 0; i < 201; i++)
        buffer_printf(&text, "k%d: 1\n", i);
    run_bytes(&run, text.data, text.len);
    assert_non_null(strstr(told(&run), "etc/f.yaml:201:1: too many keys"));
    end(&run);
    buffer_clear(&text);
    while (text.len <= 1 << 20)
        buffer_append_text(&text, "# filler filler filler filler filler filler\n");
    run_bytes(&run, text.data, text.len);
    assert_non_null(strstr(told(&run), "larger than 1 MiB"));
    end(&run);
    buffer_release(&text);
}

static void beyond_fifty_mistakes_are_counted(void **state)
{
    (void)state;
    struct buffer text;
    struct run run;
    buffer_init(&text, 1 << 16);
    for (int i = 0; i < 80; i++)
        buffer_printf(&text, "zzzzz%d: 1\n", i);
    run_bytes(&run, text.data, text.len);
    assert_int_equal(run.errors.count, 81); /* and `name` is missing */
    assert_non_null(strstr(told(&run), "f.yaml:50:1:"));
    assert_null(strstr(told(&run), "f.yaml:51:1:"));
    assert_non_null(strstr(told(&run), "further mistakes are counted"));
    end(&run);
    buffer_release(&text);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    char folder[] = "/tmp/chengmai-XXXXXX", path[64];
    struct config_errors errors;
    struct yaml_tree *tree = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/none.yaml", folder);
    config_errors_init(&errors);
    assert_int_equal(yaml_read_file(path, &tree, &errors), ERR_NOT_FOUND);
    assert_null(tree);
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(buffer_text(&errors.text), path));
    config_errors_release(&errors);
    assert_int_equal(rmdir(folder), 0);
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
    (void)state;
    static const char text[] =
        "{name: n, note: \"a \\\"b\\\" \\\\ \\t#\", timeout: 1.5s, limit: 0.1}";
    struct run run;
    struct buffer printed, again;
    run_bytes(&run, text, strlen(text));
    assert_string_equal(told(&run), "");
    buffer_init(&printed, 4096);
    buffer_init(&again, 4096);
    snprintf(run.object.file, sizeof(run.object.file), "/j");
    config_print(keys, &run.object, 0, &printed);
    assert_non_null(strstr(buffer_text(&printed), "timeout: 1500ms\n"));
    end(&run);
    run_bytes(&run, printed.data, printed.len);
    assert_string_equal(told(&run), "");
    config_print(keys, &run.object, 0, &again);
    assert_string_equal(buffer_text(&again), buffer_text(&printed));
    end(&run);
    buffer_release(&printed);
    buffer_release(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_where_nothing_is_said),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(an_unknown_key_names_the_nearest),
        cmocka_unit_test(several_mistakes_are_told_in_one_run),
        cmocka_unit_test(bounds_and_forms_are_held),
        cmocka_unit_test(columns_count_characters_and_the_caret_stands_under_them),
        cmocka_unit_test(a_key_twice_tells_both_lines),
        cmocka_unit_test(a_tab_is_called_a_tab),
        cmocka_unit_test(of_a_file_that_does_not_parse_only_that_is_told),
        cmocka_unit_test(a_control_character_has_its_place_and_never_reaches_the_terminal),
        cmocka_unit_test(what_yaml_has_and_we_do_not_is_refused),
        cmocka_unit_test(what_is_no_map_is_refused),
        cmocka_unit_test(a_file_that_is_not_utf8_says_how_to_save_it),
        cmocka_unit_test(a_byte_order_mark_and_carriage_returns_change_no_place),
        cmocka_unit_test(depth_keys_and_size_are_bounded),
        cmocka_unit_test(beyond_fifty_mistakes_are_counted),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
