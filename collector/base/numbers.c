/*
 * Design notes.
 *
 * Reading. The text is checked against JSON's grammar first. A number of up to 2^53 whose power of
 * ten is within 10^±22 is one exact operation on two exact doubles, so it is rounded once and
 * right. All others go to strtod_l with the C locale; glibc keeps that locale as a constant, so
 * asking for it each time costs nothing and can not fail.
 *
 * Printing. The shortest text must be found, not just one that reads back:
 *  - a decimal of up to 15 digits survives decimal -> double -> 15 digits, for every normal double;
 *    so when any such decimal reads back as the value, printing 15 digits finds it, and it is the
 *    only one. (6 digits for float.)
 *  - 16 digits: the nearest is the right one to try, except at a power of two, where doubles below
 *    lie twice as dense: there the next one above may read back when the nearest does not.
 *  - 17 digits always read back. (9 for float.)
 *  - subnormal values have fewer digits, so all lengths from 1 are tried.
 * printf's "%.*e" rounds exactly; whatever the locale puts for the point is stepped over. Texts are
 * read back without a point, so no locale matters there either.
 * The fast way: when v * 10^k rounds to a whole i below 10^15 and i / 10^k (one exact division, so
 * what a reader would get) is v again, then i is the decimal; k starts at 0, so it is the shortest.
 * Whole numbers take it up to 2^53, where each has a double of its own.
 * A float with more digits, as instruments send them, is worked out in double's arithmetic, which
 * has 29 bits more than it; only what that cannot tell goes the slow way.
 */
#include "base/numbers.h"

#include "base/error.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX_TEXT    1024 /* a longer number is no measurement */
#define EXPONENT_CLAMP     1000000
#define EXACT_POWERS       22 /* 10^22 is the largest power of ten a double holds exactly */
#define DOUBLE_EXACT_WHOLE (UINT64_C(1) << 53)
#define DOUBLE_DIGITS      17
#define FLOAT_DIGITS       9
#define FAST_DECIMALS      6
#define DURATION_MAX_MS    (INT64_C(3650) * 24 * 3600 * 1000)

static const double powers_of_ten[EXACT_POWERS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits only, at least one. A number above UINT64_MAX is a number still: ERR_RANGE. */
static int parse_digits(const char *text, size_t len, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool overflow = false;

    if (len == 0)
        return ERR_INVALID;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit;
        if (!is_digit(text[i]))
            return ERR_INVALID;
        digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            overflow = true;
        else
            value = value * 10 + digit;
    }
    if (overflow)
        return ERR_RANGE;
    *ret_value = value;
    return 0;
}

int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    bool negative = text[0] == '-';
    const char *digits = text + (negative ? 1 : 0);
    uint64_t magnitude;
    uint64_t largest = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    int64_t value;
    int err = parse_digits(digits, strlen(digits), &magnitude);

    if (err != 0)
        return err;
    if (magnitude > largest)
        return ERR_RANGE;
    if (!negative)
        value = (int64_t)magnitude;
    else
        value = magnitude == largest ? INT64_MIN : -(int64_t)magnitude;
    if (value < min || value > max)
        return ERR_RANGE;
    *ret_value = value;
    return 0;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
    uint64_t value;
    int err = parse_digits(text, strlen(text), &value);

    if (err != 0)
        return err;
    if (value < min || value > max)
        return ERR_RANGE;
    *ret_value = value;
    return 0;
}

/* What the grammar check saw on its way: mantissa * 10^exponent, unless it is `long`. */
struct scanned {
    uint64_t mantissa;
    int exponent;
    bool negative;
    bool is_long; /* more digits than the mantissa holds */
};

static void scanned_digit(struct scanned *scanned, char c)
{
    if (scanned->mantissa > (UINT64_MAX - 9) / 10)
        scanned->is_long = true;
    else
        scanned->mantissa = scanned->mantissa * 10 + (uint64_t)(c - '0');
}

/* The "e±digits" at text[at..len), all of it. */
static bool scan_exponent(const char *text, size_t len, size_t at, struct scanned *scanned)
{
    bool negative = false;
    int exponent = 0;

    if (++at < len && (text[at] == '+' || text[at] == '-'))
        negative = text[at++] == '-';
    if (at == len)
        return false;
    for (; at < len; at++) {
        if (!is_digit(text[at]))
            return false;
        if (exponent < EXPONENT_CLAMP)
            exponent = exponent * 10 + (text[at] - '0');
    }
    scanned->exponent += negative ? -exponent : exponent;
    return true;
}

/* JSON's number grammar over the whole of text[0..len). */
static bool scan_number(const char *text, size_t len, struct scanned *scanned)
{
    size_t at = 0;

    *scanned = (struct scanned){.negative = len > 0 && text[0] == '-'};
    at += scanned->negative ? 1 : 0;
    if (at == len || !is_digit(text[at]))
        return false;
    if (text[at] == '0' && at + 1 < len && is_digit(text[at + 1]))
        return false;
    for (; at < len && is_digit(text[at]); at++)
        scanned_digit(scanned, text[at]);
    if (at < len && text[at] == '.') {
        at++;
        if (at == len || !is_digit(text[at]))
            return false;
        for (; at < len && is_digit(text[at]); at++) {
            scanned_digit(scanned, text[at]);
            scanned->exponent--;
        }
    }
    if (at == len)
        return true;
    if (text[at] != 'e' && text[at] != 'E')
        return false;
    return scan_exponent(text, len, at, scanned);
}

/* strtod tells range by errno as well; callers go by the value, and keep the errno they had. */
static double read_in_c_locale(const char *text)
{
    int saved = errno;
    double value = strtod_l(text, NULL, newlocale(LC_ALL_MASK, "C", (locale_t)0));

    errno = saved;
    return value;
}

int parse_double_n(const char *text, size_t len, double *ret_value)
{
    struct scanned scanned;
    double value;

    if (len > NUMBER_MAX_TEXT || !scan_number(text, len, &scanned))
        return ERR_INVALID;
    if (!scanned.is_long && scanned.mantissa <= DOUBLE_EXACT_WHOLE &&
        abs(scanned.exponent) <= EXACT_POWERS) {
        double power = powers_of_ten[abs(scanned.exponent)];
        double mantissa = (double)scanned.mantissa;
        value = scanned.exponent < 0 ? mantissa / power : mantissa * power;
        if (scanned.negative)
            value = -value;
    } else {
        char copy[NUMBER_MAX_TEXT + 1];
        memcpy(copy, text, len);
        copy[len] = '\0';
        value = read_in_c_locale(copy);
    }
    if (!isfinite(value))
        return ERR_RANGE;
    *ret_value = value;
    return 0;
}

int parse_double(const char *text, double *ret_value)
{
    return parse_double_n(text, strlen(text), ret_value);
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit *unit_find(const struct unit *units, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

static size_t digits_length(const char *text)
{
    size_t len = 0;

    while (is_digit(text[len]))
        len++;
    return len;
}

int parse_duration_ms(const char *text, int64_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"min", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
    };
    size_t whole_len = digits_length(text);
    const char *rest = text + whole_len;
    const struct unit *unit;
    uint64_t whole;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    int err = parse_digits(text, whole_len, &whole);

    if (err == ERR_INVALID)
        return err;
    if (*rest == '.') {
        size_t len = digits_length(++rest);
        /* Nine places are finer than any unit's ms, and keep the product within 64 bits. */
        if (len == 0 || len > 9 || parse_digits(rest, len, &fraction) != 0)
            return ERR_INVALID;
        for (size_t i = 0; i < len; i++)
            scale *= 10;
        rest += len;
    }
    unit = unit_find(units, sizeof(units) / sizeof(units[0]), rest);
    if (unit == NULL || fraction * unit->factor % scale != 0)
        return ERR_INVALID;
    if (err != 0 || whole > (uint64_t)DURATION_MAX_MS / unit->factor)
        return ERR_RANGE;
    whole = whole * unit->factor + fraction * unit->factor / scale;
    if (whole > (uint64_t)DURATION_MAX_MS)
        return ERR_RANGE;
    *ret_ms = (int64_t)whole;
    return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };
    size_t len = digits_length(text);
    const struct unit *unit = unit_find(units, sizeof(units) / sizeof(units[0]), text + len);
    uint64_t count;
    int err = parse_digits(text, len, &count);

    if (unit == NULL || err == ERR_INVALID)
        return ERR_INVALID;
    if (err != 0 || count > UINT64_MAX / unit->factor)
        return ERR_RANGE;
    *ret_bytes = count * unit->factor;
    return 0;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int parse_hex(const char *text, size_t n, uint8_t *ret_bytes)
{
    if (strlen(text) != 2 * n)
        return ERR_INVALID;
    for (size_t i = 0; i < 2 * n; i++)
        if (hex_digit(text[i]) < 0)
            return ERR_INVALID;
    for (size_t i = 0; i < n; i++)
        ret_bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return 0;
}

static size_t put_digits(uint64_t value, char *ret_text)
{
    char reversed[NUMBER_TEXT_SIZE];
    size_t len = 0;

    do {
        reversed[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < len; i++)
        ret_text[i] = reversed[len - 1 - i];
    ret_text[len] = '\0';
    return len;
}

static size_t put_i64(int64_t value, char *ret_text)
{
    if (value >= 0)
        return put_digits((uint64_t)value, ret_text);
    ret_text[0] = '-';
    return 1 + put_digits(UINT64_C(0) - (uint64_t)value, ret_text + 1);
}

/* A positive decimal d.ddd * 10^exponent of `count` digits, the last not 0 unless it is alone. */
struct decimal {
    char digits[DOUBLE_DIGITS + 1];
    size_t count;
    int exponent;
};

static void decimal_strip(struct decimal *decimal)
{
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
}

/* The decimal of `count` digits that is nearest to the value; its trailing zeros stay. */
static void decimal_nearest(struct decimal *decimal, double value, size_t count)
{
    char text[64];
    const char *at = text;

    snprintf(text, sizeof(text), "%.*e", (int)count - 1, value);
    decimal->count = 0;
    for (; *at != '\0' && *at != 'e'; at++)
        if (is_digit(*at) && decimal->count < count)
            decimal->digits[decimal->count++] = *at;
    decimal->exponent = *at == 'e' ? (int)strtol(at + 1, NULL, 10) : 0;
}

/* The next decimal above with as many digits. */
static void decimal_step_up(struct decimal *decimal)
{
    size_t at = decimal->count;

    while (at > 0 && decimal->digits[at - 1] == '9')
        decimal->digits[--at] = '0';
    if (at > 0) {
        decimal->digits[at - 1]++;
        return;
    }
    decimal->digits[0] = '1';
    decimal->exponent++;
}

/* As a whole number and a power of ten: no point, so every locale reads it alike. */
static void decimal_write_pointless(const struct decimal *decimal, char *ret_text)
{
    memcpy(ret_text, decimal->digits, decimal->count);
    ret_text[decimal->count] = 'e';
    put_i64(decimal->exponent - (int)(decimal->count - 1), ret_text + decimal->count + 1);
}

static bool decimal_is_double(const struct decimal *decimal, double value)
{
    char text[DOUBLE_DIGITS + 1 + NUMBER_TEXT_SIZE];

    decimal_write_pointless(decimal, text);
    return double_same(read_in_c_locale(text), value);
}

static bool decimal_is_float(const struct decimal *decimal, float value)
{
    char text[DOUBLE_DIGITS + 1 + NUMBER_TEXT_SIZE];
    int saved = errno;
    float back;

    decimal_write_pointless(decimal, text);
    back = strtof(text, NULL);
    errno = saved;
    return memcmp(&back, &value, sizeof(value)) == 0;
}

static bool is_power_of_two(double value)
{
    int exponent;

    return double_same(frexp(value, &exponent), 0.5);
}

/* The shortest decimal of a positive double (or, for `single`, of a float held in one). */
static void decimal_shortest(struct decimal *decimal, double value, bool single)
{
    bool subnormal = value < (single ? (double)FLT_MIN : DBL_MIN);
    size_t last = single ? FLOAT_DIGITS : DOUBLE_DIGITS;
    size_t count = subnormal ? 1 : single ? FLT_DIG : DBL_DIG;

    for (; count < last; count++) {
        decimal_nearest(decimal, value, count);
        if (single ? decimal_is_float(decimal, (float)value) : decimal_is_double(decimal, value))
            break;
        if (!is_power_of_two(value))
            continue;
        decimal_step_up(decimal);
        if (single ? decimal_is_float(decimal, (float)value) : decimal_is_double(decimal, value))
            break;
    }
    if (count == last)
        decimal_nearest(decimal, value, count);
    decimal_strip(decimal);
}

/* How near a product or a border may come before double's own rounding could decide. */
#define HAIR 1e-6

/* The decimal exponent of a value from 1e-4 to below 1e6. */
static int decimal_exponent(double value)
{
    int exponent = -4;

    while (value >=
           (exponent + 1 < 0 ? 1 / powers_of_ten[-exponent - 1] : powers_of_ten[exponent + 1]))
        exponent++;
    return exponent;
}

/* Do the digits read back as the float? -1: too near to its border to tell. */
static int reads_back(double decimal, float value)
{
    double below = ((double)nextafterf(value, 0) + (double)value) / 2;
    double above = ((double)nextafterf(value, INFINITY) + (double)value) / 2;
    double hair = (above - below) * HAIR;

    if (decimal > below + hair && decimal < above - hair)
        return 1;
    return decimal < below - hair || decimal > above + hair ? 0 : -1;
}

/* As decimal_shortest, for a float of ordinary size, in double's arithmetic: that has 29 bits more,
 * so all but what lies within a hair of a border is decided by it. False where it is not. */
static bool decimal_shortest_fast(struct decimal *decimal, float value)
{
    int exponent;

    if (!(value >= 1e-4F && value < 1e6F) || is_power_of_two((double)value))
        return false;
    exponent = decimal_exponent((double)value);
    for (int count = FLT_DIG; count <= FLOAT_DIGITS; count++) {
        double power = powers_of_ten[count - 1 - exponent];
        double scaled = (double)value * power;
        double whole = nearbyint(scaled);
        int good = reads_back(whole / power, value);
        if (good < 0 || fabs(fabs(scaled - whole) - 0.5) < HAIR)
            return false;
        if (good == 0)
            continue;
        decimal->count = put_digits((uint64_t)whole, decimal->digits);
        decimal->exponent = exponent + (int)decimal->count - count;
        decimal_strip(decimal);
        return true;
    }
    return false;
}

/* As JavaScript writes it: plain from 1e-6 up to below 1e21, else with an exponent. */
static size_t put_decimal(const struct decimal *decimal, char *ret_text)
{
    size_t len = 0;
    size_t whole = decimal->exponent < 0 ? 0 : (size_t)decimal->exponent + 1;

    if (decimal->exponent >= 21 || decimal->exponent < -6) {
        ret_text[len++] = decimal->digits[0];
        if (decimal->count > 1) {
            ret_text[len++] = '.';
            memcpy(ret_text + len, decimal->digits + 1, decimal->count - 1);
            len += decimal->count - 1;
        }
        ret_text[len++] = 'e';
        return len + put_i64(decimal->exponent, ret_text + len);
    }
    if (whole == 0) {
        ret_text[len++] = '0';
        ret_text[len++] = '.';
        for (int i = -1; i > decimal->exponent; i--)
            ret_text[len++] = '0';
    }
    for (size_t i = 0; i < decimal->count || i < whole; i++) {
        if (i > 0 && i == whole)
            ret_text[len++] = '.';
        ret_text[len++] = i < decimal->count ? decimal->digits[i] : '0';
    }
    return len;
}

/* i / 10^places as text, the last digit not 0 unless places is 0. */
static size_t put_fixed(uint64_t i, int places, char *ret_text)
{
    uint64_t scale = (uint64_t)powers_of_ten[places];
    size_t len = put_digits(i / scale, ret_text);

    if (places > 0) {
        ret_text[len++] = '.';
        for (uint64_t rest = i % scale; scale > 1; rest %= scale) {
            scale /= 10;
            ret_text[len++] = (char)('0' + rest / scale);
        }
    }
    return len;
}

/* The fast way of the design notes; 0 when it is not for this value. */
static size_t put_fast_double(double value, char *ret_text)
{
    for (int places = 0; places <= FAST_DECIMALS; places++) {
        double scaled = value * powers_of_ten[places];
        int64_t i;
        if (!(scaled < (places == 0 ? (double)DOUBLE_EXACT_WHOLE : 1e15)))
            return 0;
        i = llrint(scaled);
        if (double_same((double)i / powers_of_ten[places], value))
            return put_fixed((uint64_t)i, places, ret_text);
    }
    return 0;
}

/* The same in float: 6 digits, and whole numbers and powers of ten that a float holds exactly. */
static size_t put_fast_float(float value, char *ret_text)
{
    for (int places = 0; places <= FAST_DECIMALS; places++) {
        float power = (float)powers_of_ten[places];
        float scaled = value * power;
        float back;
        long i;
        if (!(scaled < 999999.0F))
            return 0;
        i = lrintf(scaled);
        back = (float)i / power;
        if (memcmp(&back, &value, sizeof(value)) == 0)
            return put_fixed((uint64_t)i, places, ret_text);
    }
    return 0;
}

static size_t print_real(double value, bool single, char *ret_text)
{
    struct decimal decimal;
    size_t sign = 0;
    size_t len;

    if (!isfinite(value)) {
        memcpy(ret_text, "null", sizeof("null"));
        return sizeof("null") - 1;
    }
    if (signbit(value)) {
        ret_text[sign++] = '-';
        value = -value;
    }
    len = single ? put_fast_float((float)value, ret_text + sign)
                 : put_fast_double(value, ret_text + sign);
    if (len == 0) {
        if (!single || !decimal_shortest_fast(&decimal, (float)value))
            decimal_shortest(&decimal, value, single);
        len = put_decimal(&decimal, ret_text + sign);
    }
    ret_text[sign + len] = '\0';
    return sign + len;
}

size_t print_double(double value, char ret_text[NUMBER_TEXT_SIZE])
{
    return print_real(value, false, ret_text);
}

size_t print_float(float value, char ret_text[NUMBER_TEXT_SIZE])
{
    return print_real((double)value, true, ret_text);
}

size_t print_u64(uint64_t value, char ret_text[NUMBER_TEXT_SIZE])
{
    return put_digits(value, ret_text);
}

size_t print_i64(int64_t value, char ret_text[NUMBER_TEXT_SIZE])
{
    return put_i64(value, ret_text);
}

void print_hex(const uint8_t *bytes, size_t n, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * n] = '\0';
}

bool double_same(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}
