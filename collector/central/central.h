/* chengmai-central: takes readings in, keeps and stores them, raises alarms, serves the pages. */
#ifndef CENTRAL_CENTRAL_H
#define CENTRAL_CENTRAL_H

/* The program: runs until SIGINT or SIGTERM. 0, 2 on a bad configuration, 1 on anything else. */
int central_main(int argc, char **argv);

#endif
