#include "drivers/modbus/register_map.h"

#include "base/crypto.h"
#include "base/numbers.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADER "name,function,address,type,word_order,scale,offset,unit,access,description"
#define WIDE   HEADER ",min,max,sentinel"
#define MORE   "name,function,address,type,word_order,scale,enum,rollover,total,view"

static void errors_begin(struct config_errors *errors)
{
    errors->count = 0;
    buffer_init(&errors->text, 64 * 1024);
}

static struct register_map *parsed(const char *text)
{
    struct register_map *map = NULL;
    struct config_errors errors;

    errors_begin(&errors);
    if (register_map_parse("m.csv", text, strlen(text), &map, &errors) != 0)
        fail_msg("%s", buffer_text(&errors.text));
    assert_int_equal(errors.count, 0);
    buffer_release(&errors.text);
    return map;
}

static void check_refused(const char *text, const char *words)
{
    struct register_map *map = NULL;
    struct config_errors errors;

    errors_begin(&errors);
    assert_int_equal(register_map_parse("m.csv", text, strlen(text), &map, &errors), ERR_INVALID);
    assert_null(map);
    assert_true(errors.count > 0);
    if (strcmp(buffer_text(&errors.text), words) != 0)
        fail_msg("got \"%s\", expected \"%s\"", buffer_text(&errors.text), words);
    buffer_release(&errors.text);
}

static void a_row_becomes_a_register(void **state)
{
    struct register_map *map =
        parsed(WIDE "\n"
                    "ph,4,12,int16,BA,0.01,-1.5,pH,rw,\"acid, or not\",0,14,32767;-32768 0x7FFE\n");
    const struct map_register *reg = register_map_at(map, 0);

    (void)state;
    assert_int_equal(register_map_count(map), 1);
    assert_string_equal(reg->name, "ph");
    assert_string_equal(reg->unit, "pH");
    assert_string_equal(reg->type_name, "int16");
    assert_string_equal(reg->description, "acid, or not");
    assert_int_equal(reg->function, 4);
    assert_int_equal(reg->address, 12);
    assert_int_equal(reg->type, REGISTER_INT);
    assert_int_equal(reg->words, 1);
    assert_int_equal(reg->order[0], 1);
    assert_int_equal(reg->order[1], 0);
    assert_true(double_same(reg->scale, 0.01));
    assert_true(double_same(reg->divisor, 100));
    assert_true(double_same(reg->offset, -1.5));
    assert_true(reg->has_min && reg->has_max && reg->writable && !reg->exact);
    assert_int_equal(reg->sentinel_count, 3);
    assert_int_equal(reg->sentinels[0], 0x7FFF);
    assert_int_equal(reg->sentinels[1], 0x8000);
    assert_int_equal(reg->sentinels[2], 0x7FFE);
    assert_int_equal(reg->line, 2);
    register_map_free(map);
    register_map_free(NULL);
}

static void short_rows_take_the_defaults(void **state)
{
    struct register_map *map = parsed("name,function,address,type\na,3,0,uint16\n");
    const struct map_register *reg = register_map_at(map, 0);

    (void)state;
    assert_true(reg->exact);
    assert_true(double_same(reg->scale, 1) && double_same(reg->divisor, 1));
    assert_int_equal(reg->order[0], 0);
    assert_false(reg->writable || reg->has_min || reg->has_max);
    assert_string_equal(reg->unit, "");
    register_map_free(map);
}

static void types_know_their_width(void **state)
{
    static const struct {
        const char *type, *order;
        uint8_t words, bytes;
    } cases[] = {
        {"bits16", "", 1, 2},        {"uint8", "AB", 1, 1},         {"int8", "", 1, 1},
        {"uint16", "BA", 1, 2},      {"int32", "CDAB", 2, 4},       {"uint32", "BADC", 2, 4},
        {"float32", "DCBA", 2, 4},   {"int64", "GHEFCDAB", 4, 8},   {"uint64", "HGFEDCBA", 4, 8},
        {"bcd48", "ABCDEF", 3, 6},   {"float64", "BADCFEHG", 4, 8}, {"bcd16", "", 1, 2},
        {"bcd64", "ABCDEFGH", 4, 8}, {"time6", "", 3, 6},           {"string14", "", 7, 14},
        {"string39", "BA", 20, 39},  {"string1", "", 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct map_register reg;
        assert_int_equal(map_register_init(&reg, cases[i].type, cases[i].order, NULL), 0);
        assert_int_equal(reg.words, cases[i].words);
        assert_int_equal(reg.bytes, cases[i].bytes);
        assert_string_equal(reg.type_name, cases[i].type);
    }
}

static void longer_numbers_must_tell_their_order(void **state)
{
    struct map_register reg = {.address = 77};
    struct message message;

    (void)state;
    assert_int_equal(map_register_init(&reg, "float32", "", &message), ERR_INVALID);
    assert_string_equal(message.text,
                        "word_order ''; for float32 expected ABCD, CDAB, BADC or DCBA");
    assert_int_equal(map_register_init(&reg, "int64", "ABCD", &message), ERR_INVALID);
    assert_int_equal(map_register_init(&reg, "uint16", "ABCD", &message), ERR_INVALID);
    assert_int_equal(map_register_init(&reg, "uint32", "ACBD", &message), ERR_INVALID);
    assert_int_equal(reg.address, 77);
}

static void rows_that_only_write_are_passed_over(void **state)
{
    struct register_map *map = parsed(HEADER "\n"
                                             "a,6,20,uint16,AB,1,0,,wo,\n"
                                             "b,16,20,uint32,ABCD,1,0,,wo,\n"
                                             "c,3,20,none,,1,0,,wo,\n"
                                             "d,3,20,uint16,AB,1,0,,wo,\n"
                                             "e,5,20,bit,,1,0,,,\n"
                                             "f,3,20,uint16,AB,1,0,,rw,\n");

    (void)state;
    assert_int_equal(register_map_skipped(map), 5);
    assert_int_equal(register_map_count(map), 1);
    assert_int_equal(register_map_find(map, "f"), 0);
    assert_int_equal(register_map_find(map, "a"), -1);
    register_map_free(map);
}

static void bits_are_numbered_by_their_description(void **state)
{
    struct register_map *map = parsed(HEADER "\n"
                                             "a,3,20,bits16,AB,1,0,,ro,bit 0 Run\n"
                                             "b,3,20,bits16,AB,1,0,,ro,bit 15: Fault\n"
                                             "c,3,20,bits16,AB,1,0,,ro,b0 input\n"
                                             "d,1,20,bit,,1,0,,ro,\n"
                                             "e,2,65535,bit,,1,0,,ro,\n"
                                             "f,3,20,bits16,AB,1,0,,ro,bits 4..7: state\n"
                                             "g,3,22,bits32,ABCD,1,0,,ro,bit 31\n"
                                             "h,3,20,bits16,AB,1,0,,ro,bits of many kinds\n");
    static const struct {
        int low_bit, bits;
        const char *description;
    } expected[] = {
        {0, 1, "Run"}, {15, 1, "Fault"}, {0, 16, "b0 input"}, {0, 8, ""},
        {0, 8, ""},    {4, 4, "state"},  {31, 1, "bit 31"},   {0, 16, "bits of many kinds"}};

    (void)state;
    for (size_t i = 0; i < register_map_count(map); i++) {
        const struct map_register *reg = register_map_at(map, i);
        assert_int_equal(reg->low_bit, expected[i].low_bit);
        assert_int_equal(reg->bits, expected[i].bits);
        assert_string_equal(reg->description, expected[i].description);
    }
    assert_int_equal(register_map_at(map, 3)->type, REGISTER_BIT);
    register_map_free(map);
}

static void an_enumeration_has_words(void **state)
{
    struct register_map *map = parsed(MORE "\n"
                                           "a,3,0,uint16,AB,,2:two|0:off 停|1:on\n"
                                           "b,3,1,int8,AB,,-128:low|127:a:b\n"
                                           "c,1,0,bit,,,0:no|1:yes\n");
    const struct map_register *reg = register_map_at(map, 0);

    (void)state;
    assert_int_equal(reg->enum_count, 3);
    assert_int_equal(reg->enum_words[0].number, 0);
    assert_int_equal(reg->enum_words[0].len, strlen("off 停"));
    assert_memory_equal(reg->enum_words[0].text, "off 停", reg->enum_words[0].len);
    assert_int_equal(reg->enum_words[2].number, 2);
    assert_int_equal(register_map_at(map, 1)->enum_words[0].number, -128);
    assert_memory_equal(register_map_at(map, 1)->enum_words[1].text, "a:b", 3);
    register_map_free(map);
}

static void an_enumeration_is_of_whole_numbers_told_once(void **state)
{
    (void)state;
    check_refused(MORE "\n"
                       "a,3,0,float32,ABCD,,0:x\n"
                       "b,3,2,uint16,AB,0.1,0:x\n"
                       "c,3,3,uint8,AB,,0:x|256:y\n"
                       "d,3,4,uint16,AB,,0:x|1|2:|:z\n"
                       "e,3,5,uint16,AB,,7:x|7:y\n"
                       "f,3,6,string4,,,0:x\n",
                  "m.csv:2:21: float32 has no enum: it is not whole\n"
                  "m.csv:3:17: an enumeration has no scale or offset\n"
                  "m.csv:4:17: enum '256:y'; expected a raw value of uint8, a colon and a word of "
                  "at most 39 bytes, the next behind a |\n"
                  "m.csv:5:18: enum '1'; expected a raw value of uint16, a colon and a word of at "
                  "most 39 bytes, the next behind a |\n"
                  "m.csv:5:18: enum '2:'; expected a raw value of uint16, a colon and a word of "
                  "at most 39 bytes, the next behind a |\n"
                  "m.csv:5:18: enum ':z'; expected a raw value of uint16, a colon and a word of "
                  "at most 39 bytes, the next behind a |\n"
                  "m.csv:6:18: enum has two words for 7\n"
                  "m.csv:7:17: string4 has no enum\n");
}

static void a_totaliser_knows_when_it_turns_over(void **state)
{
    struct register_map *map = parsed(MORE "\n"
                                           "a,3,0,uint32,ABCD,0.1,,4294967295\n"
                                           "b,3,0,uint32,ABCD,0.1,,4294967295,running\n"
                                           "c,3,2,bcd32,ABCD,1,,99999999\n"
                                           "d,3,4,float32,ABCD,1,,4000000\n"
                                           "e,3,6,uint64,ABCDEFGH,1,,999999999999\n"
                                           "f,3,10,uint16,AB,1\n");

    (void)state;
    assert_true(double_same(register_map_at(map, 0)->modulus, 4294967296));
    assert_true(double_same(register_map_at(map, 2)->modulus, 100000000));
    assert_true(double_same(register_map_at(map, 3)->modulus, 4000000));
    assert_true(double_same(register_map_at(map, 4)->modulus, 1e12));
    assert_true(double_same(register_map_at(map, 5)->modulus, 0));
    assert_false(register_map_at(map, 0)->running);
    assert_true(register_map_at(map, 1)->running);
    register_map_free(map);
    check_refused(MORE "\n"
                       "a,3,0,uint16,AB,1,,65536\n"
                       "b,3,1,bcd16,AB,1,,10000\n"
                       "c,3,2,float32,ABCD,1,,0\n"
                       "d,3,4,bits16,AB,1,,5\n"
                       "e,3,5,uint16,AB,-1,,5\n"
                       "f,3,6,uint16,AB,1,,,running\n"
                       "g,3,7,uint16,AB,1,,9,daily\n",
                  "m.csv:2:20: rollover '65536'; expected the last raw count before 0, up to "
                  "65535\n"
                  "m.csv:3:19: rollover '10000'; expected the last raw count before 0, up to 9999\n"
                  "m.csv:4:23: rollover '0'; expected a number above 0\n"
                  "m.csv:5:20: bits16 counts nothing\n"
                  "m.csv:6:17: a totaliser's scale is above 0\n"
                  "m.csv:7:21: a running total needs its rollover: the last raw count before 0\n"
                  "m.csv:8:22: total 'daily'; expected running, or nothing\n");
}

static void one_register_may_be_looked_at_in_several_ways(void **state)
{
    struct register_map *map = parsed(MORE "\n"
                                           "word,3,5,uint16,AB\n"
                                           "bits,3,5,bits16,AB\n"
                                           "high,3,5,uint8,AB\n"
                                           "low,3,5,uint8,BA\n"
                                           "other,4,5,float32,ABCD\n"
                                           "pair,3,7,uint32,ABCD\n"
                                           "again,3,7,float32,ABCD\n"
                                           "second,3,8,uint16,AB,,,,,pair\n"
                                           "over,3,6,float32,ABCD,,,,,pair\n"
                                           "bit,1,5,bit\n");

    (void)state;
    assert_int_equal(register_map_count(map), 10);
    register_map_free(map);
}

static void what_overlaps_otherwise_is_refused(void **state)
{
    (void)state;
    check_refused(MORE "\n"
                       "a,3,2,float32,ABCD\n"
                       "b,3,1,float32,ABCD\n"
                       "c,3,3,uint16,AB\n"
                       "d,3,9,uint16,AB,,,,,d\n"
                       "e,3,10,uint16,AB,,,,,nobody\n"
                       "f,3,11,uint16,AB,,,,,e\n"
                       "g,3,12,uint16,AB,,,,,a\n",
                  "m.csv:5:1: view 'd' of 'd' is no other row\n"
                  "m.csv:6:1: view 'nobody' of 'e' is no other row\n"
                  "m.csv:7:1: view 'e' of 'f' is a view itself; name the row that it looks at\n"
                  "m.csv:8:1: view 'a' of 'g' has none of its registers\n"
                  "m.csv:3:1: 'b', registers 1 to 2, overlaps 'a' of line 2, 2 to 3; is it another "
                  "look at them, say 'a' under view\n"
                  "m.csv:4:1: 'c', registers 3 to 3, overlaps 'a' of line 2, 2 to 3; is it another "
                  "look at them, say 'a' under view\n");
}

static void a_packed_time_may_be_the_clock(void **state)
{
    struct register_map *map =
        parsed(HEADER ",time\nclock,3,0,bcdtime6,YMDhms,1,-28800000,ms,ro,,device\n");

    (void)state;
    assert_int_equal(register_map_clock(map), 0);
    assert_true(double_same(register_map_at(map, 0)->offset, -28800000));
    register_map_free(map);
    check_refused(HEADER ",time,min\n"
                         "a,3,0,time6,ABCDEF,1,0,,ro,,device\n"
                         "b,3,3,time6,YMDhms,10,0,,ro,,,1\n"
                         "c,3,6,time6,YMDDms,1,0,,ro,\n",
                  "m.csv:2:29: time6 cannot be a clock; expected a packed time with its order, or "
                  "a whole number that is ms UTC after its scale\n"
                  "m.csv:3:20: time6 has no scale; its offset is in ms\n"
                  "m.csv:3:31: time6 has no min\n"
                  "m.csv:4:13: word_order 'YMDDms'; for time6 expected the order of year, month, "
                  "day, hour, minute and second, as YMDhms\n");
}

static void all_mistakes_are_told_in_one_run_with_their_places(void **state)
{
    (void)state;
    check_refused(WIDE "\n"
                       "a b,3,0,uint16,AB,1,0,,ro,\n"
                       "b,7,0,uint16,AB,1,0,,ro,\n"
                       "c,3,0,unit16,AB,1,0,,ro,\n"
                       "d,3,0,float32,,1,0,,ro,\n"
                       "e,3,65535,float32,ABCD,1,0,,ro,\n"
                       "f,3,0,uint16,AB,0,x,,no,\n"
                       "g,1,0,uint16,AB,1,0,,ro,\n"
                       "h,3,0,bit,,1,0,,ro,\n"
                       "i,3,0,bits16,AB,1,0,,ro,bit 16 x\n"
                       "j,3,0,uint16,AB,1,0,,ro,,5,5\n"
                       "k,3,0,uint16,AB,1,0,,ro,,,,65536\n"
                       "l,3,0,uint16,AB,1,0,123456789012345678901234,ro,\n"
                       "m,3,0,string40,,1,0,,ro,\n"
                       "n,3,0,string4,,2,0,,ro,,1\n"
                       "o,3,0,complex,,1,0,,ro,\n",
                  "m.csv:2:1: name 'a b'; expected 1 to 64 of A-Z a-z 0-9 _ - . not beginning "
                  "with a dot\n"
                  "m.csv:3:3: function '7'; expected 1, 2, 3 or 4 (5, 6, 15 and 16 only write: "
                  "such rows are passed over)\n"
                  "m.csv:4:7: type 'unit16'; did you mean 'uint16'?\n"
                  "m.csv:5:15: word_order ''; for float32 expected ABCD, CDAB, BADC or DCBA\n"
                  "m.csv:6:5: address '65535'; expected 0 to 65534, counted from 0\n"
                  "m.csv:7:22: access 'no'; expected ro, rw or wo\n"
                  "m.csv:7:19: offset 'x'; expected a number such as 0.1\n"
                  "m.csv:7:17: scale 0 makes every value the same\n"
                  "m.csv:8:7: type 'uint16' with function 1; expected bit\n"
                  "m.csv:9:7: type 'bit' with function 3; expected a register's type (bits16 with "
                  "a description 'bit N')\n"
                  "m.csv:10:25: description 'bit 16 x…'; 'bit' is followed by 0 to 15\n"
                  "m.csv:11:28: max '5' is not above min '5'\n"
                  "m.csv:12:28: sentinel '65536'; expected raw values of uint16, or their bits as "
                  "0x and 4 hex digits\n"
                  "m.csv:13:21: unit '123456789012345678901234'; expected at most 23 bytes\n"
                  "m.csv:14:7: type 'string40'; a string is string1 to string39, its length in "
                  "bytes\n"
                  "m.csv:15:16: string4 has no scale or offset\n"
                  "m.csv:15:25: string4 has no min\n"
                  "m.csv:16:7: type 'complex'; expected bit, bits16, bits32, int or uint with 8 "
                  "to 64 bits, float16 to float64, bcd16 to bcd64, stringN, time6, time12 or "
                  "bcdtime6\n");
}

static void columns_must_be_known(void **state)
{
    (void)state;
    check_refused("name,function,adress,type\na,3,0,uint16\n",
                  "m.csv:1:1: no column 'address'\n"
                  "m.csv:1:15: unknown column 'adress'; did you mean 'address'?\n");
    check_refused("# a map\n" HEADER ",colour\n", "m.csv:2:76: unknown column 'colour'\n");
    check_refused("", "m.csv:1:1: no header row\n");
}

static void a_name_stands_once(void **state)
{
    (void)state;
    check_refused(HEADER "\n"
                         "a,3,0,uint16,AB,1,0,,ro,\n"
                         "b,3,1,uint16,AB,1,0,,ro,\n"
                         "a,3,2,uint16,AB,1,0,,ro,\n",
                  "m.csv:4:1: name 'a' stands in line 2 already\n");
}

static void what_excel_saves_in_china_is_read(void **state)
{
    /* 化学需氧量 in GBK; the same with a BOM in UTF-8. */
    struct register_map *gbk = parsed(
        HEADER "\r\ncod,3,0,uint16,AB,1,0,mg/L,ro,\xBB\xAF\xD1\xA7\xD0\xE8\xD1\xF5\xC1\xBF\r\n");
    struct register_map *bom =
        parsed("\xEF\xBB\xBF" HEADER "\ncod,3,0,uint16,AB,1,0,mg/m\xC2\xB3,ro,化学需氧量\n");

    (void)state;
    assert_string_equal(register_map_at(gbk, 0)->description, "化学需氧量");
    assert_string_equal(register_map_at(bom, 0)->description, "化学需氧量");
    assert_string_equal(register_map_at(bom, 0)->unit, "mg/m³");
    register_map_free(gbk);
    register_map_free(bom);
}

static void the_version_is_the_hash_of_the_file(void **state)
{
    const char *text = "name,function,address,type\n";
    struct register_map *map = parsed(text);
    uint8_t digest[SHA256_SIZE];
    char hex[17];

    (void)state;
    sha256(text, strlen(text), digest);
    print_hex(digest, 8, hex);
    assert_string_equal(register_map_version(map), hex);
    assert_int_equal(register_map_count(map), 0);
    assert_int_equal(register_map_find(map, "a"), -1);
    register_map_free(map);
}

static void errors_are_bounded(void **state)
{
    struct buffer text;
    struct config_errors errors;
    struct register_map *map = NULL;

    (void)state;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, HEADER "\n");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "p%d,9,0,uint16\n", i);
    errors_begin(&errors);
    assert_int_equal(register_map_parse("m", text.data, text.len, &map, &errors), ERR_INVALID);
    assert_int_equal(errors.count, 1000);
    assert_int_equal(buffer_error(&errors.text), 0);
    buffer_clear(&text);
    buffer_append_text(&text, HEADER "\n");
    for (int i = 0; i <= REGISTER_MAP_MAX_ROWS; i++)
        buffer_printf(&text, "p%d,3,0,uint16\n", i);
    buffer_clear(&errors.text);
    assert_int_equal(register_map_parse("m", text.data, text.len, &map, &errors), ERR_INVALID);
    assert_int_equal(errors.count, 1001);
    buffer_release(&text);
    buffer_release(&errors.text);
}

static void a_missing_file_is_told(void **state)
{
    struct config_errors errors;
    struct register_map *map = NULL;

    (void)state;
    errors_begin(&errors);
    assert_int_equal(register_map_read("/nowhere/at/all.csv", &map, &errors), ERR_INVALID);
    assert_non_null(strstr(buffer_text(&errors.text), "/nowhere/at/all.csv"));
    buffer_release(&errors.text);
}

/* Those that are delivered, and those of a folder that one may name. */
static void every_delivered_map_loads(void **state)
{
    const char *named = getenv("CHENGMAI_DEVICES");
    const char *folder = named != NULL ? named : "config/maps";
    DIR *dir = opendir(folder);
    struct config_errors errors;

    (void)state;
    if (dir == NULL) {
        print_message("skipped: there is no folder %s\n", folder);
        skip();
    }
    errors_begin(&errors);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[1024];
        struct register_map *map = NULL;
        if (strstr(entry->d_name, ".csv") == NULL)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (register_map_read(path, &map, &errors) == 0)
            assert_true(register_map_count(map) > 0);
        register_map_free(map);
    }
    closedir(dir);
    assert_string_equal(buffer_text(&errors.text), "");
    buffer_release(&errors.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_becomes_a_register),
        cmocka_unit_test(short_rows_take_the_defaults),
        cmocka_unit_test(types_know_their_width),
        cmocka_unit_test(longer_numbers_must_tell_their_order),
        cmocka_unit_test(rows_that_only_write_are_passed_over),
        cmocka_unit_test(bits_are_numbered_by_their_description),
        cmocka_unit_test(an_enumeration_has_words),
        cmocka_unit_test(an_enumeration_is_of_whole_numbers_told_once),
        cmocka_unit_test(a_totaliser_knows_when_it_turns_over),
        cmocka_unit_test(one_register_may_be_looked_at_in_several_ways),
        cmocka_unit_test(what_overlaps_otherwise_is_refused),
        cmocka_unit_test(a_packed_time_may_be_the_clock),
        cmocka_unit_test(all_mistakes_are_told_in_one_run_with_their_places),
        cmocka_unit_test(columns_must_be_known),
        cmocka_unit_test(a_name_stands_once),
        cmocka_unit_test(what_excel_saves_in_china_is_read),
        cmocka_unit_test(the_version_is_the_hash_of_the_file),
        cmocka_unit_test(errors_are_bounded),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(every_delivered_map_loads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
