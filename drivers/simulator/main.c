#include "drivers/simulator/simulator.h"

int main(int argc, char **argv)
{
    return simulator_main(argc, argv);
}
