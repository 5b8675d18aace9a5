#include "base/crypto.h"

#include "base/error.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(SHA256_SIZE == crypto_hash_sha256_BYTES, "libsodium's SHA-256 has another size");
static_assert(PASSWORD_HASH_SIZE >= crypto_pwhash_argon2id_STRBYTES, "no room for a hash");

int crypto_init(void)
{
    return sodium_init() < 0 ? ERR_IO : 0;
}

void sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE])
{
    (void)crypto_hash_sha256(ret_digest, data, len);
}

void random_bytes(void *ret_data, size_t len)
{
    randombytes_buf(ret_data, len);
}

uint32_t random_below(uint32_t bound)
{
    return randombytes_uniform(bound);
}

void random_password(char *ret_text, size_t len)
{
    static const char LETTERS[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    for (size_t i = 0; i < len; i++)
        ret_text[i] = LETTERS[random_below(sizeof LETTERS - 1)];
    ret_text[len] = '\0';
}

int password_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
    char hash[crypto_pwhash_argon2id_STRBYTES];
    if (crypto_pwhash_argon2id_str(hash, password, strlen(password),
                                   crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE,
                                   crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE) != 0)
        return ERR_NO_MEMORY;
    memcpy(ret_hash, hash, sizeof hash);
    return 0;
}

bool password_verify(const char *hash, const char *password)
{
    return crypto_pwhash_argon2id_str_verify(hash, password, strlen(password)) == 0;
}

bool secret_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void secret_wipe(void *data, size_t len)
{
    sodium_memzero(data, len);
}
