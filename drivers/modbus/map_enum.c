#include "drivers/modbus/map_enum.h"

#include "base/error.h"
#include "base/numbers.h"
#include "model/sample.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int by_number(const void *a, const void *b)
{
    const struct register_word *left = a;
    const struct register_word *right = b;

    return left->number < right->number ? -1 : left->number > right->number;
}

/* One "NUMBER:WORD" of `len` bytes. */
static bool read_word(const struct map_register *reg, const char *text, size_t len,
                      struct register_word *ret_word)
{
    const char *colon = memchr(text, ':', len);
    size_t digits = colon != NULL ? (size_t)(colon - text) : 0;
    int64_t most = map_register_most(reg);
    char number[24] = "";
    struct register_word word = {.number = 0};

    if (colon == NULL || digits >= sizeof number || len - digits - 1 < 1 ||
        len - digits - 1 >= VALUE_TEXT_SIZE)
        return false;
    memcpy(number, text, digits);
    if (parse_i64(number, reg->type == REGISTER_INT ? -most - 1 : 0, most, &word.number) != 0)
        return false;
    word.text = colon + 1;
    word.len = (uint8_t)(len - digits - 1);
    *ret_word = word;
    return true;
}

static void refuse_twins(struct map_reader *reader, const struct map_register *reg)
{
    for (size_t i = 1; i < reg->enum_count; i++)
        if (reg->enum_words[i].number == reg->enum_words[i - 1].number)
            map_reader_complain(reader, COLUMN_ENUM, "enum has two words for %lld",
                                (long long)reg->enum_words[i].number);
}

int map_enum_read(struct map_reader *reader, struct map_register *reg)
{
    const char *at = map_reader_cell(reader, COLUMN_ENUM);
    struct register_word *words;

    if (reg->type == REGISTER_FLOAT) {
        map_reader_complain(reader, COLUMN_ENUM, "%s has no enum: it is not whole", reg->type_name);
        return 0;
    }
    words = calloc(MAP_ENUM_MAX_WORDS, sizeof words[0]);
    if (words == NULL)
        return ERR_NO_MEMORY;
    reg->enum_words = words;
    for (bool more = true; more;) {
        size_t len = strcspn(at, "|");
        struct register_word word;
        if (!read_word(reg, at, len, &word))
            map_reader_complain(reader, COLUMN_ENUM,
                                "enum '%.*s'; expected a raw value of %s, a colon and a word of at "
                                "most %d bytes, the next behind a |",
                                (int)(len < 60 ? len : 60), at, reg->type_name,
                                VALUE_TEXT_SIZE - 1);
        else if (reg->enum_count == MAP_ENUM_MAX_WORDS)
            map_reader_complain(reader, COLUMN_ENUM, "more than %d words", MAP_ENUM_MAX_WORDS);
        else
            words[reg->enum_count++] = word;
        more = at[len] == '|';
        at += len + 1;
    }
    qsort(words, reg->enum_count, sizeof words[0], by_number);
    refuse_twins(reader, reg);
    return 0;
}
