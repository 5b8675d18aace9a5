/*
 * Numbers as text, strict and the same in every locale. Readers take the whole text or nothing:
 * no leading blanks, no sign where none belongs, no trailing rest, no hexadecimal, no "nan".
 */
#ifndef BASE_NUMBERS_H
#define BASE_NUMBERS_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits, leading zeros allowed (protocols pad with them), for i64 after an optional '-'.
 * ERR_INVALID when it is not a whole number, ERR_RANGE outside min..max. */
MUST_CHECK int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret_value);
MUST_CHECK int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/* A finite decimal number (JSON's grammar, a leading '+' and ".5" refused). ERR_RANGE when it
 * overflows; one too small for a double is read as 0. Beyond 1024 bytes: ERR_INVALID. */
MUST_CHECK int parse_double(const char *text, double *ret_value);

/* As parse_double, over `len` bytes that need no NUL. */
MUST_CHECK int parse_double_n(const char *text, size_t len, double *ret_value);

/* A number and ms, s, min, h or d ("500ms", "1.5h"), in whole ms 0..10 years (3650 days); one that
 * is no whole number of ms ("0.5ms") is ERR_INVALID. */
MUST_CHECK int parse_duration_ms(const char *text, int64_t *ret_ms);

/* A whole number and B, KiB, MiB, GiB or TiB ("2GiB"). */
MUST_CHECK int parse_size(const char *text, uint64_t *ret_bytes);

/* 2n hex digits, either case, into n bytes. */
MUST_CHECK int parse_hex(const char *text, size_t n, uint8_t *ret_bytes);

#define NUMBER_TEXT_SIZE 32

/* The shortest decimal that reads back as the same double ("0.1", "1e21", "-0"); the length.
 * NaN and infinities, which have no number form, are written as "null". */
size_t print_double(double value, char ret_text[NUMBER_TEXT_SIZE]);

/* The shortest decimal that reads back as the same float: 21.64f gives "21.64". */
size_t print_float(float value, char ret_text[NUMBER_TEXT_SIZE]);
size_t print_i64(int64_t value, char ret_text[NUMBER_TEXT_SIZE]);
size_t print_u64(uint64_t value, char ret_text[NUMBER_TEXT_SIZE]);

/* 2n lower-case hex digits and a NUL. */
void print_hex(const uint8_t *bytes, size_t n, char *ret_text);

/* The same bits? (For doubles, where == is wrong for NaN and -Wfloat-equal rightly complains.) */
bool double_same(double a, double b);

#endif
