/*
 * What is published and not yet answered: maps the numbers a library gives to messages, which it
 * uses again, to tokens that are not. At most `width` are open at once. One thread.
 */
#ifndef NET_PUBLISH_WINDOW_H
#define NET_PUBLISH_WINDOW_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stddef.h>

struct publish_window {
    int *tokens; /* by number; 0: none */
    int last;
    size_t open, width;
};

/* ERR_NO_MEMORY. The width is 0 at first. */
MUST_CHECK int publish_window_init(struct publish_window *window);
void publish_window_release(struct publish_window *window);

/* Ends all that is open, and takes up to `width` from now on. */
void publish_window_reset(struct publish_window *window, size_t width);

bool publish_window_is_full(const struct publish_window *window);

/* Can a message have that number? */
bool publish_window_knows(int number);

/* Opens a token, from 1 on, for a number that is known and not open. */
int publish_window_open(struct publish_window *window, int number);

/* Closes the token of that number and returns it; 0 where none is open, whatever the number. */
int publish_window_close(struct publish_window *window, int number);

#endif
