/*
 * Streams: what is kept longest when space runs out. Each has a sequence of its own.
 */
#ifndef MODEL_STREAM_H
#define MODEL_STREAM_H

enum stream {
    STREAM_A, /* births, alarms, seals, losses, audit: never dropped */
    STREAM_S, /* points with a High or Critical rule (class safety) */
    STREAM_C, /* compliance points */
    STREAM_T, /* trend: dropped first */
    STREAM_COUNT,
};

/* The letters in the order of the enum, as they stand in records and file names. */
#define STREAM_LETTERS "asct"

/* 'a', 's', 'c', 't'. */
static inline char stream_letter(enum stream stream)
{
    return STREAM_LETTERS[stream];
}

/* The stream of a letter (text of exactly one), or STREAM_COUNT. */
static inline enum stream stream_from_text(const char *text)
{
    for (int i = 0; text && i < STREAM_COUNT; i++)
        if (text[0] == STREAM_LETTERS[i] && text[1] == '\0')
            return (enum stream)i;
    return STREAM_COUNT;
}

#endif
