/* Hashes, random bytes, passwords. Thread-safe after crypto_init. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, before anything else here. ERR_IO when the system has no randomness. */
MUST_CHECK int crypto_init(void);

#define SHA256_SIZE 32
void sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE]);

void random_bytes(void *ret_data, size_t len);

/* Evenly distributed in 0..bound-1; bound at least 1. */
uint32_t random_below(uint32_t bound);

/* `len` characters that can be read aloud (no 0 O 1 l I) and a NUL: 5.8 bits each. */
void random_password(char *ret_text, size_t len);

/* argon2id (RFC 9106) with libsodium's INTERACTIVE cost: 64 MiB and some 70 ms each, slow by
 * design. The caller bounds how many run at once. password_hash: ERR_NO_MEMORY. */
#define PASSWORD_HASH_SIZE 128
MUST_CHECK int password_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE]);
bool password_verify(const char *hash, const char *password);

/* Equal, in a time that does not depend on where they differ. */
bool secret_equal(const void *a, const void *b, size_t len);
void secret_wipe(void *data, size_t len);

#endif
