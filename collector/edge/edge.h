/* chengmai-edge: polls the instruments of a site, keeps readings, sends them to the centre. */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

/* The program: runs until SIGINT or SIGTERM. 0, 2 on a bad configuration, 1 on anything else. */
int edge_main(int argc, char **argv);

#endif
