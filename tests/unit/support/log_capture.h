/* What the log says, caught from standard error, which is one for the whole program. */
#ifndef TESTS_UNIT_SUPPORT_LOG_CAPTURE_H
#define TESTS_UNIT_SUPPORT_LOG_CAPTURE_H

struct log_capture {
    int file, saved;
};

void log_capture_begin(struct log_capture *capture);

/* How often a text stands in what was said since the beginning. */
int log_capture_count(const struct log_capture *capture, const char *text);

/* Standard error is what it was. */
void log_capture_end(struct log_capture *capture);

#endif
