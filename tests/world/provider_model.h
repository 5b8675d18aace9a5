/*
 * The provider behind the webhook: stands in for net/http_client.c at linking. It takes
 * notifications, or times out, breaks off, answers 500, or says 200 and forgets; what it answered
 * with 2xx is remembered by what was in it.
 */
#ifndef TESTS_WORLD_PROVIDER_MODEL_H
#define TESTS_WORLD_PROVIDER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum provider_mode {
    PROVIDER_WELL,
    PROVIDER_TIMES_OUT, /* nobody answers */
    PROVIDER_HALF,      /* it takes the notification, and the connection ends before its answer */
    PROVIDER_500,
    PROVIDER_FORGETS, /* 200, and the notification goes nowhere: not ours to find out */
    PROVIDER_MODE_COUNT,
};

struct provider {
    enum provider_mode mode;
    uint64_t *taken; /* what it answered with 2xx, by the hash of the body */
    size_t taken_count;
    uint64_t asked[PROVIDER_MODE_COUNT]; /* as it was then */
    bool slow; /* since it was looked at last, an exchange took all of its time */
};

void provider_init(struct provider *provider);
void provider_release(struct provider *provider);
uint64_t provider_hash(const void *body, size_t len);
bool provider_took(const struct provider *provider, const void *body, size_t len);

#endif
