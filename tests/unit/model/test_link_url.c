/* Where instruments are: every way to write it, and what is wrong with the others. */
#include "model/link_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct link_url parsed(const char *text)
{
    struct link_url url = {0};
    struct message message = {""};
    if (link_url_parse(text, &url, &message) != 0)
        fail_msg("%s: %s", text, message.text);
    return url;
}

static void refused(const char *text, const char *words)
{
    struct link_url url = {.baud = 7};
    struct message message = {""};
    assert_int_equal(link_url_parse(text, &url, &message), ERR_INVALID);
    if (strstr(message.text, words) == NULL)
        fail_msg("%s: expected '%s', told '%s'", text, words, message.text);
    assert_int_equal(url.baud, 7);
}

static void tcp_goes_to_a_numeric_address(void **state)
{
    (void)state;
    struct link_url url = parsed("tcp://10.0.0.5:502");
    assert_int_equal(url.kind, LINK_TCP);
    assert_string_equal(url.endpoint.host, "10.0.0.5");
    assert_int_equal(url.endpoint.port, 502);
    assert_int_equal(url.baud, 0);
    assert_string_equal(parsed("tcp://[::1]:1502").endpoint.host, "::1");
    refused("tcp://plc:502", "numeric address");
    refused("tcp://10.0.0.5", "numeric address");
    refused("tcp://10.0.0.5:0", "numeric address");
    refused("tcp://10.0.0.5:502?baud=9600", "'baud' after '?'; expected nothing there");
    refused("udp://10.0.0.5:502", "expected tcp://ADDRESS:PORT, rtu:///dev/");
    refused("", "expected tcp://");
}

static void a_serial_line_has_speed_parity_and_stop_bits(void **state)
{
    (void)state;
    struct link_url url = parsed("rtu:///dev/ttyS1");
    assert_int_equal(url.kind, LINK_RTU);
    assert_string_equal(url.device, "/dev/ttyS1");
    assert_int_equal(url.baud, 9600);
    assert_int_equal(url.parity, 'N');
    assert_int_equal(url.stop, 1);
    assert_false(url.rs485);
    assert_int_equal(link_url_character_bits(&url), 10);
    url = parsed("rtu:///dev/serial/by-id/usb-1?stop=2&rs485=yes&parity=odd&baud=123456");
    assert_string_equal(url.device, "/dev/serial/by-id/usb-1");
    assert_int_equal(url.baud, 123456);
    assert_int_equal(url.parity, 'O');
    assert_int_equal(url.stop, 2);
    assert_true(url.rs485);
    assert_int_equal(link_url_character_bits(&url), 12);
    assert_int_equal(parsed("rtu:///d?parity=E").parity, 'E');
    assert_int_equal(parsed("rtu:///d?parity=even").parity, 'E');
    assert_int_equal(parsed("rtu:///d?parity=N&rs485=no").parity, 'N');
    refused("rtu://ttyS1", "rtu:///dev/");
    refused("rtu:///d?baud=49", "baud=49; expected 50 to 4000000");
    refused("rtu:///d?baud=9600x", "baud=9600x");
    refused("rtu:///d?parity=mark", "expected N, E or O");
    refused("rtu:///d?stop=0", "expected 1 or 2");
    refused("rtu:///d?rs485=1", "expected yes or no");
    refused("rtu:///d?baud=9600&baud=9600", "baud stands twice");
    refused("rtu:///d?speed=9600", "'speed' after '?'; expected baud, parity, stop, rs485");
    refused("rtu:///d?register=D", "'register' after");
    refused("rtu:///d?baud", "'baud' after '?'");
    refused("rtu:///d?", "'' after '?'");
    refused("rtu:///d?baud=9600&", "'' after '?'");
    refused("rtu:///dev/0123456789012345678901234567890123456789012345678901234567890123456789012"
            "345678901234567890123456789",
            "too long");
}

static void a_serial_server_may_tell_its_speed(void **state)
{
    (void)state;
    struct link_url url = parsed("rtu+tcp://10.0.0.6:4001");
    assert_int_equal(url.kind, LINK_RTU_TCP);
    assert_int_equal(url.endpoint.port, 4001);
    assert_int_equal(url.baud, 0);
    assert_int_equal(parsed("rtu+tcp://10.0.0.6:4001?baud=2400&parity=E").baud, 2400);
    refused("rtu+tcp://10.0.0.6:4001?rs485=yes", "'rs485' after '?'; expected baud, parity, stop");
}

static void a_dtu_is_known_by_what_it_says_first(void **state)
{
    (void)state;
    struct link_url url = parsed("dtu://0.0.0.0:6000?register=DTU%3001&heartbeat_hex=fE00");
    assert_int_equal(url.kind, LINK_DTU);
    assert_string_equal(url.endpoint.host, "0.0.0.0");
    assert_int_equal(url.registration.len, 6);
    assert_memory_equal(url.registration.bytes, "DTU001", 6);
    assert_int_equal(url.heartbeat.len, 2);
    assert_memory_equal(url.heartbeat.bytes, "\xFE\x00", 2);
    url = parsed("dtu://0.0.0.0:6000?register_hex=0001&heartbeat=%00&baud=9600");
    assert_memory_equal(url.registration.bytes, "\0\1", 2);
    assert_int_equal(url.heartbeat.len, 1);
    assert_int_equal(url.baud, 9600);
    refused("dtu://0.0.0.0:6000", "which DTU?");
    refused("dtu://0.0.0.0:6000?heartbeat=x", "which DTU?");
    refused("dtu://0.0.0.0:6000?register=", "register=; expected 1 to 64 bytes");
    refused("dtu://0.0.0.0:6000?register=%0", "register=%0; expected");
    refused("dtu://0.0.0.0:6000?register=%", "register=%; expected");
    refused("dtu://0.0.0.0:6000?register=%zz", "register=%zz; expected");
    refused("dtu://0.0.0.0:6000?register_hex=012", "in hex");
    refused("dtu://0.0.0.0:6000?register=a&register_hex=00", "on top of another");
    refused("dtu://0.0.0.0:6000?register=0123456789012345678901234567890123456789012345678901234567"
            "8901234",
            "expected 1 to 64 bytes");
}

static void what_a_dtu_says_is_shown_so_that_it_reads_back(void **state)
{
    (void)state;
    char text[LINK_BYTES_TEXT_MAX];
    uint8_t all[LINK_BYTES_MAX];
    for (unsigned start = 0; start < 256; start += LINK_BYTES_MAX) {
        char whole[LINK_BYTES_TEXT_MAX + 40] = "dtu://0.0.0.0:1?register=";
        for (unsigned i = 0; i < LINK_BYTES_MAX; i++)
            all[i] = (uint8_t)(start + i);
        link_bytes_print(all, LINK_BYTES_MAX, text);
        strncat(whole, text, sizeof(whole) - strlen(whole) - 1);
        struct link_url url = parsed(whole);
        assert_int_equal(url.registration.len, LINK_BYTES_MAX);
        assert_memory_equal(url.registration.bytes, all, LINK_BYTES_MAX);
    }
    link_bytes_print((const uint8_t *)"DTU 1\r\n", 7, text);
    assert_string_equal(text, "DTU%201%0D%0A");
    link_bytes_print(NULL, 0, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_goes_to_a_numeric_address),
        cmocka_unit_test(a_serial_line_has_speed_parity_and_stop_bits),
        cmocka_unit_test(a_serial_server_may_tell_its_speed),
        cmocka_unit_test(a_dtu_is_known_by_what_it_says_first),
        cmocka_unit_test(what_a_dtu_says_is_shown_so_that_it_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
