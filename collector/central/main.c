#include "central/central.h"

int main(int argc, char **argv)
{
    return central_main(argc, argv);
}
