/*
 * chengmai-sim: whole plants as Modbus slaves, for demonstration, training and tests.
 */
#ifndef DRIVERS_SIMULATOR_SIMULATOR_H
#define DRIVERS_SIMULATOR_SIMULATOR_H

/* The program: parses its arguments, runs until SIGINT or SIGTERM. The exit code. */
int simulator_main(int argc, char **argv);

#endif
