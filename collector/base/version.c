#include "base/version.h"

const char *chengmai_version(void)
{
    return CHENGMAI_VERSION;
}
