/* The command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

#include "pixels.h"

typedef struct {
  const char *name, *folder; /* folder: may be NULL, or the name a whole path */
  int scale;    /* 1, 2, 4 or 8 */
  int only_bitmap;
  int has_crop; /* else the whole photo */
  Box crop;
  int failed;
} PhotoOptions;

typedef struct {
  int runs, warm_up, width, height, channels;
  double low, high;
  uint64_t memory_bytes;
  const char *dump;
  PhotoOptions *photos;
  int photo_count;
  int help, version;
} Options;

extern const char USAGE[];

/* Returns 0, or -1 with a sentence in problem. */
int options_parse(int count, char **words, Options *options, char problem[256]);

#endif
