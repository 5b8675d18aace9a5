#include "net/publish_window.h"

#include "base/error.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS 65536 /* MQTT's message ids are 1 to 65535 */

int publish_window_init(struct publish_window *window)
{
    *window = (struct publish_window){.tokens = calloc(NUMBERS, sizeof(*window->tokens))};
    return window->tokens ? 0 : ERR_NO_MEMORY;
}

void publish_window_release(struct publish_window *window)
{
    free(window->tokens);
    window->tokens = NULL;
}

void publish_window_reset(struct publish_window *window, size_t width)
{
    if (window->open)
        memset(window->tokens, 0, NUMBERS * sizeof(*window->tokens));
    window->open = 0;
    window->width = width;
}

bool publish_window_is_full(const struct publish_window *window)
{
    return window->open >= window->width;
}

bool publish_window_knows(int number)
{
    return number > 0 && number < NUMBERS;
}

int publish_window_open(struct publish_window *window, int number)
{
    window->last = window->last < INT_MAX ? window->last + 1 : 1;
    window->tokens[number] = window->last;
    window->open++;
    return window->last;
}

int publish_window_close(struct publish_window *window, int number)
{
    if (!publish_window_knows(number) || !window->tokens[number])
        return 0;
    int token = window->tokens[number];
    window->tokens[number] = 0;
    window->open--;
    return token;
}
