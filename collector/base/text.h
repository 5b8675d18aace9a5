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

/* Appends `text` as UTF-8: as it is (less a BOM) when it is UTF-8, else read as GB18030, which
 * covers GBK. ERR_INVALID when it is neither. */
MUST_CHECK int text_to_utf8(const char *text, size_t len, struct buffer *out);

/* A name that may stand in topics, files and tags: [A-Za-z0-9_.-]{1,64}, not starting with '.'. */
bool text_is_name(const char *text);

/* Copies with a NUL into `size` bytes; ERR_FULL (and *ret untouched) when it does not fit. */
MUST_CHECK int text_copy(char *ret, size_t size, const char *text);

/* Edit distance, at most `limit` + 1 of work: for "did you mean". */
size_t text_distance(const char *a, const char *b, size_t limit);

#endif
