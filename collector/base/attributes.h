/* Compiler attributes under plain names. */
#ifndef BASE_ATTRIBUTES_H
#define BASE_ATTRIBUTES_H

/* The result says whether the call worked: looking away is an error. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* Argument `fmt` is a printf format for the arguments from `first` on. */
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

#endif
