/*
 * A locale whose decimal point is a comma, made on the spot by localedef, so that a test of "the
 * locale changes nothing" never depends on what is installed. Test threads only.
 */
#ifndef SUPPORT_COMMA_LOCALE_H
#define SUPPORT_COMMA_LOCALE_H

#include <locale.h>

/* (locale_t)0 where localedef or its character maps are missing. Freed by freelocale. */
locale_t comma_locale_new(void);

#endif
