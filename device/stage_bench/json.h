/* Strings of JSON. */
#ifndef JSON_H
#define JSON_H

#include <stdio.h>

/* Print text between quotes, in ASCII. Bytes that are no UTF-8 become \udc80 to \udcff, which is
   what Python's surrogateescape makes of such file names. */
void json_string(FILE *file, const char *text);

#endif
