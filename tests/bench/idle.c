/* Has loaded libmodbus and Paho and does nothing: what an edge's memory is compared with. */
#include <MQTTAsync.h>
#include <modbus/modbus.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;
    options.do_openssl_init = 1;
    MQTTAsync_global_init(&options);
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", 1502);
    if (!modbus)
        return EXIT_FAILURE;
    pause();
    modbus_free(modbus);
    return EXIT_SUCCESS;
}
