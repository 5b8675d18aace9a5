/*
 * The provider behind the webhook: stands in for net/http_client.c at linking. It takes
 * notifications, or times out, breaks off, answers 500, or says 200 and forgets; what it took is
 * remembered.
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

struct taken {
    char *body;
    size_t len;
    bool answered; /* … with 200, and whoever asked got to know */
};

struct provider {
    enum provider_mode mode;
    struct taken *taken; /* in the order in which it came */
    size_t taken_count;
    uint64_t asked[PROVIDER_MODE_COUNT]; /* as it was then */
    bool slow; /* since it was looked at last, an exchange took all of its time */
};

void provider_init(struct provider *provider);
void provider_release(struct provider *provider);

#endif
