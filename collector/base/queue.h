/*
 * The only way in which threads hand data to each other: a bounded first-in-first-out queue of
 * items of one size, copied in and out. Any number of producers and consumers.
 *
 * A full queue refuses and counts: the producer decides what that means, nobody blocks. Items
 * that hold pointers hand their ownership over; what is left at queue_free is given to
 * `release`. A closed queue takes nothing more and still gives out what it holds.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/attributes.h"

#include <stddef.h>
#include <stdint.h>

struct queue;

/* `release` (may be NULL) frees what an undelivered item owns. NULL when out of memory. */
struct queue *queue_new(size_t capacity, size_t item_size, void (*release)(void *item));
void queue_free(struct queue *queue);

/* 0, ERR_FULL (counted as refused) or ERR_CLOSED. */
MUST_CHECK int queue_push(struct queue *queue, const void *item);

/* 0, ERR_AGAIN while empty, ERR_CLOSED once closed and empty. */
MUST_CHECK int queue_pop(struct queue *queue, void *ret_item);

void queue_close(struct queue *queue);
size_t queue_depth(struct queue *queue);

/* How many items were refused since queue_new. */
uint64_t queue_refused(struct queue *queue);

/* An eventfd, readable while items wait or the queue is closed: for poll, never to be read. */
int queue_fd(struct queue *queue);

#endif
