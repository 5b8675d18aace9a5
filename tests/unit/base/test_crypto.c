#include "base/crypto.h"

#include "base/error.h"
#include "base/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int start(void **state)
{
    (void)state;
    return crypto_init();
}

static void assert_sha256(const char *data, size_t len, const char *expected)
{
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    sha256(data, len, digest);
    print_hex(digest, sizeof digest, hex);
    assert_string_equal(hex, expected);
}

/* The examples of FIPS 180-2, appendix B, and the empty text. */
static void sha256_of_the_standard(void **state)
{
    static const char LONGER[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char *million = malloc(1000000);
    (void)state;
    assert_non_null(million);
    memset(million, 'a', 1000000);
    assert_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sha256("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_sha256(LONGER, strlen(LONGER),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_sha256(million, 1000000,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void starting_twice_is_fine(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), 0);
}

static void random_bytes_fill_all_and_no_more(void **state)
{
    uint8_t seen[32] = {0};
    (void)state;
    /* Each byte is 0 in all of 64 draws with a chance of 2^-512. */
    for (int i = 0; i < 64; i++) {
        uint8_t data[34] = {0};
        random_bytes(data + 1, 32);
        assert_int_equal(data[0] | data[33], 0);
        for (size_t k = 0; k < sizeof seen; k++)
            seen[k] |= data[k + 1];
    }
    for (size_t k = 0; k < sizeof seen; k++)
        assert_int_not_equal(seen[k], 0);
}

static void random_below_stays_below_and_reaches_all(void **state)
{
    unsigned int seen = 0;
    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint32_t value = random_below(7);
        assert_true(value < 7);
        seen |= 1U << value;
        assert_int_equal(random_below(1), 0);
    }
    assert_int_equal(seen, 0x7f);
}

static void passwords_can_be_read_aloud(void **state)
{
    char seen[256] = "";
    size_t letters = 0;
    (void)state;
    for (int i = 0; i < 400; i++) {
        char text[17];
        random_password(text, 16);
        assert_int_equal(strlen(text), 16);
        assert_int_equal(strcspn(text, "0O1lI"), 16);
        for (size_t k = 0; k < 16; k++)
            seen[(unsigned char)text[k]] = 1;
    }
    for (size_t c = 0; c < sizeof seen; c++) {
        if (seen[c] == 0)
            continue;
        letters++;
        assert_true((c >= '2' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
    }
    assert_int_equal(letters, 57); /* 5.8 bits each */
}

static void a_password_verifies_against_its_own_hash_only(void **state)
{
    char hash[PASSWORD_HASH_SIZE];
    char other[PASSWORD_HASH_SIZE];
    (void)state;
    assert_int_equal(password_hash("渗滤液-2026", hash), 0);
    assert_int_equal(strncmp(hash, "$argon2id$v=19$m=65536,t=2,p=1$", 31), 0);
    assert_true(password_verify(hash, "渗滤液-2026"));
    assert_false(password_verify(hash, "渗滤液-2025"));
    assert_false(password_verify(hash, ""));
    assert_int_equal(password_hash("渗滤液-2026", other), 0);
    assert_string_not_equal(hash, other); /* each has its salt */
    hash[40] = hash[40] == 'A' ? 'B' : 'A';
    assert_false(password_verify(hash, "渗滤液-2026"));
}

static void what_is_no_hash_verifies_nothing(void **state)
{
    (void)state;
    assert_false(password_verify("", ""));
    assert_false(password_verify("", "x"));
    assert_false(password_verify("*", "*"));
    assert_false(password_verify("$argon2id$v=19$m=65536,t=2,p=1$", ""));
}

static void secrets_compare_and_wipe(void **state)
{
    char a[] = "secret";
    char b[] = "secrex";
    (void)state;
    assert_true(secret_equal(a, "secret", 6));
    assert_false(secret_equal(a, b, 6));
    assert_true(secret_equal(a, b, 5));
    assert_true(secret_equal(a, b, 0));
    secret_wipe(a, 5);
    assert_memory_equal(a, "\0\0\0\0\0t", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_the_standard),
        cmocka_unit_test(starting_twice_is_fine),
        cmocka_unit_test(random_bytes_fill_all_and_no_more),
        cmocka_unit_test(random_below_stays_below_and_reaches_all),
        cmocka_unit_test(passwords_can_be_read_aloud),
        cmocka_unit_test(a_password_verifies_against_its_own_hash_only),
        cmocka_unit_test(what_is_no_hash_verifies_nothing),
        cmocka_unit_test(secrets_compare_and_wipe),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
