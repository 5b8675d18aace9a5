/* The process around a step: what the product does where it must end itself (sim_files.c). */
#ifndef TESTS_WORLD_SIM_FILES_H
#define TESTS_WORLD_SIM_FILES_H

#include <setjmp.h>

/* From now on abort() goes back to `jump`; NULL: it ends the test. */
void sim_process_guard(jmp_buf *jump);

#endif
