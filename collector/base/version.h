/* Which version of Chengmai this is. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

/* In the programs "0.1+d292ce4", as `git describe` named it at the build. Never NULL. */
const char *chengmai_version(void);

#endif
