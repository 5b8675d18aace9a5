#include "ctl/decodings.h"

#include "base/numbers.h"
#include "drivers/modbus/decode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define NEAR 0.02

static const struct decoding_shape shapes[] = {
    {8, "AB"},        {8, "BA"},        {16, "AB"},       {16, "BA"},       {32, "ABCD"},
    {32, "CDAB"},     {32, "BADC"},     {32, "DCBA"},     {48, "ABCDEF"},   {48, "EFCDAB"},
    {48, "BADCFE"},   {48, "FEDCBA"},   {64, "ABCDEFGH"}, {64, "GHEFCDAB"}, {64, "BADCFEHG"},
    {64, "HGFEDCBA"}, {64, "EFGHABCD"}, {64, "CDABGHEF"}, {64, "FEHGBADC"}, {64, "DCBAHGFE"},
};

static const char *const kind_names[DECODE_KINDS] = {"uint", "int", "float", "bcd"};

/* The plainest first. What is not here comes after them. */
static const char *const plain_types[] = {"float32", "uint16", "int16",  "uint32", "int32",
                                          "float64", "bcd16",  "bcd32",  "uint64", "int64",
                                          "bcd48",   "bcd64",  "float16"};

static const struct scale {
    const char *text;
    double times, by;
} scales[] = {{"1", 1, 1}, {"0.1", 1, 10}, {"0.01", 1, 100}, {"10", 10, 1}, {"0.001", 1, 1000}};

size_t decoding_shape_count(void)
{
    return COUNT(shapes);
}

const struct decoding_shape *decoding_shape_at(size_t index)
{
    return &shapes[index];
}

const char *decoding_kind_name(enum decoding_kind kind)
{
    return kind_names[kind];
}

static void type_name(const struct decoding_shape *shape, enum decoding_kind kind, char ret[16])
{
    snprintf(ret, 16, "%s%u", kind_names[kind], shape->bits);
}

bool decoding_value(const struct block *block, size_t at, const struct decoding_shape *shape,
                    enum decoding_kind kind, struct value *ret_value)
{
    struct map_register reg;
    struct sample sample = {0};
    char type[16];
    type_name(shape, kind, type);
    if (block_is_bits(block) || map_register_init(&reg, type, shape->order, NULL))
        return false;
    const uint8_t *wire = block_registers(block, at, reg.words);
    if (!wire)
        return false;
    decode_registers(&reg, wire, &sample);
    *ret_value = sample.value;
    return sample.quality == QUALITY_GOOD;
}

/* ---- guesses ---- */

int decodings_init(struct decodings *decodings, const char *expected)
{
    struct decodings made = {.half_digit = 0.5};
    int err = parse_double(expected, &made.expected);
    const char *point = strchr(expected, '.');
    size_t decimals = point ? strspn(point + 1, "0123456789") : 0;
    made.half_digit = 0.5 * pow(10, -(double)decimals) * (1 + 1e-9);
    if (!err)
        *decodings = made;
    return err;
}

static bool better(const struct decoding *a, const struct decoding *b)
{
    if (a->fits != b->fits)
        return a->fits;
    if (a->fits && a->rank != b->rank)
        return a->rank < b->rank;
    if (a->error < b->error || b->error < a->error)
        return a->error < b->error;
    return a->rank < b->rank;
}

static void offer(struct decodings *decodings, const struct decoding *guess)
{
    size_t at = decodings->count;
    while (at && better(guess, &decodings->list[at - 1]))
        at--;
    if (at == DECODINGS_MAX)
        return;
    if (decodings->count < DECODINGS_MAX)
        decodings->count++;
    memmove(&decodings->list[at + 1], &decodings->list[at],
            (decodings->count - at - 1) * sizeof(decodings->list[0]));
    decodings->list[at] = *guess;
}

static int plainness(const char *type)
{
    int rank = 0;
    while (rank < (int)COUNT(plain_types) && strcmp(plain_types[rank], type) != 0)
        rank++;
    return rank;
}

/* `raw` with each scale. */
static void offer_scaled(struct decodings *decodings, struct decoding *guess,
                         const struct value *raw)
{
    int type_rank = plainness(guess->type);
    for (size_t i = 0; i < COUNT(scales); i++) {
        guess->scale = scales[i].text;
        guess->value = raw->number * scales[i].times / scales[i].by;
        guess->single = raw->kind == VALUE_FLOAT && i == 0;
        guess->error = fabs(guess->value - decodings->expected);
        guess->fits = guess->error <= decodings->half_digit;
        guess->rank = (int)(i * (COUNT(plain_types) + 1)) + type_rank;
        offer(decodings, guess);
    }
}

static void add_register(struct decodings *decodings, const struct block *block, size_t at,
                         struct decoding *guess)
{
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int kind = 0; kind < DECODE_KINDS; kind++) {
            struct value value;
            if (!decoding_value(block, at, &shapes[i], (enum decoding_kind)kind, &value) ||
                value.kind == VALUE_TEXT)
                continue;
            type_name(&shapes[i], (enum decoding_kind)kind, guess->type);
            guess->order = shapes[i].order;
            offer_scaled(decodings, guess, &value);
        }
}

static void add_bit(struct decodings *decodings, const struct block *block, size_t at,
                    struct decoding *guess)
{
    snprintf(guess->type, sizeof(guess->type), "bit");
    guess->order = "";
    guess->scale = "1";
    guess->value = block->data[2 * at + 1];
    guess->error = fabs(guess->value - decodings->expected);
    guess->fits = guess->error <= decodings->half_digit;
    guess->rank = 0;
    offer(decodings, guess);
}

void decodings_add(struct decodings *decodings, const struct block *block)
{
    for (size_t at = 0; at < block->request.count; at++) {
        struct decoding guess = {.unit = block->request.unit,
                                 .function = block->request.function,
                                 .address = (uint16_t)(block->request.start + at)};
        if (!block->known[at])
            continue;
        if (block_is_bits(block))
            add_bit(decodings, block, at, &guess);
        else
            add_register(decodings, block, at, &guess);
    }
}

bool decodings_near(const struct decodings *decodings)
{
    if (!decodings->count)
        return false;
    const struct decoding *best = &decodings->list[0];
    return best->fits || best->error <= NEAR * fabs(decodings->expected);
}
