/* Pauses between tries that grow, with chance in them, so that many who lost the same thing do not
 * come back for it at one instant. Needs crypto_init. */
#ifndef NET_BACKOFF_H
#define NET_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t min_ms, max_ms, upper_ms;
};

/* 0 < min_ms <= max_ms. */
void backoff_init(struct backoff *backoff, int64_t min_ms, int64_t max_ms);

/* It worked: the next pause is a short one again. */
void backoff_reset(struct backoff *backoff);

/* 1 to 2 times min_ms, then 2 to 4, then 4 to 8 times; never beyond max_ms. */
int64_t backoff_next_ms(struct backoff *backoff);

#endif
