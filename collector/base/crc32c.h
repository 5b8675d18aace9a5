/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): checks of journal frames. Thread-safe. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 to begin) over `data`. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same without help of the processor: what crc32c is where there is no such instruction. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
