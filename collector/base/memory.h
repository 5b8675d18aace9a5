/*
 * A small footprint on a small machine. glibc's allocator gives each thread an arena, and keeps
 * what is freed; libraries stay mapped with whatever the start alone needed (of a TLS handshake
 * that is megabytes). Both are for whole programs to decide, in main.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/* Before the first thread: one arena for all, large blocks given back when they are freed. */
void memory_keep_small(void);

/* Any thread, when the start (or a new connection) is over: gives free memory back, and unmaps the
 * pages of code and constants. Those in use come back at the next touch, from the page cache;
 * nothing that was ever written is touched. Costs some hundred page faults: not for a loop. */
void memory_settle(void);

#endif
