/* Text from outside: is it UTF-8, is it a name, and what did Excel in China mean? */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (no surrogates, no overlong forms) without NUL. */
bool text_is_utf8(const char *text, size_t len);

/* The length (1..4) of the well-formed character that begins `text`; 0 for none, and for NUL. */
size_t text_utf8_length(const char *text, size_t len);

/* Appends `text` as UTF-8: as it is (less a BOM) when it is UTF-8, else read as GB18030, which
 * covers GBK. ERR_INVALID when it is neither, or holds NUL; on failure `out` keeps its text. */
MUST_CHECK int text_to_utf8(const char *text, size_t len, struct buffer *out);

/* As text_to_utf8; *ret_bad is set on ERR_INVALID alone: the byte where it stops being text. */
MUST_CHECK int text_to_utf8_where(const char *text, size_t len, struct buffer *out,
                                  size_t *ret_bad);

/* A name that may stand in topics, files and tags: [A-Za-z0-9_.-]{1,64}, not starting with '.'. */
bool text_is_name(const char *text);

/* Copies with a NUL into `size` bytes; ERR_FULL (and *ret untouched) when it does not fit. */
MUST_CHECK int text_copy(char *ret, size_t size, const char *text);

/* Edit distance in bytes (a swap of neighbours is one edit), or limit + 1 when it is more: for "did
 * you mean". Texts beyond 64 bytes are only equal or far apart. */
size_t text_distance(const char *a, const char *b, size_t limit);

#endif
