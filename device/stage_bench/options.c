#include "options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char USAGE[] =
    "usage: stage_bench [options] [--scale N] [--crop L,T,W,H] PHOTO ...\n"
    "\n"
    "Times bitmap, resize and grey on JPEG photos, and prints a JSON line for each photo and\n"
    "stage of each pass over them.\n"
    "\n"
    "  --runs N          passes over the photos that count (default 5)\n"
    "  --warm_up N       passes before, marked so (default 1)\n"
    "  --size WxH        input of the model in pixels (default 224x224)\n"
    "  --channels 1|3    grey or RGB input (default 1)\n"
    "  --range LOW,HIGH  what black and white become (default 0,1)\n"
    "  --memory_mb N     most that one photo may take (default 512)\n"
    "  --dump DIR        write each photo's pixels and tensor, once:\n"
    "                    INDEX-bitmap.rgb, INDEX-resize.rgb, INDEX-tensor.f32\n"
    "  --version, --help\n"
    "\n"
    "These hold for the photos behind them:\n"
    "  --in DIR          their folder; they are named without it\n"
    "  --scale 1|2|4|8   decode that part of each side (default 1)\n"
    "  --crop L,T,W,H    of the upright photo at full size, in pixels; 'all' is the whole photo\n"
    "                    (default), 'none' ends after bitmap, as for a photo without a face\n"
    "\n"
    "A photo that cannot be read gets a line with \"error\"; the exit status is 1 then, and 2 where\n"
    "the command line is wrong.\n";

enum { MOST_PASSES = 1000000, MOST_SIDE = 8192, MOST_EDGE = 1000000 };

static int read_numbers(const char *text, char separator, int count, long low, long high,
                        long *into) {
  for (int i = 0; i < count; i++) {
    char *end;
    if (*text < '0' || *text > '9') return -1;
    errno = 0;
    into[i] = strtol(text, &end, 10);
    if (errno || into[i] < low || into[i] > high) return -1;
    if (*end != (i + 1 < count ? separator : '\0')) return -1;
    text = end + 1;
  }
  return 0;
}

static int read_range(const char *text, Options *options) {
  char *end;
  options->low = strtod(text, &end);
  if (end == text || *end != ',') return -1;
  text = end + 1;
  options->high = strtod(text, &end);
  if (end == text || *end != '\0') return -1;
  return isfinite(options->low) && isfinite(options->high) && options->low < options->high ? 0 : -1;
}

static int read_crop(const char *text, PhotoOptions *now) {
  long numbers[4];
  now->only_bitmap = strcmp(text, "none") == 0;
  now->has_crop = 0;
  if (now->only_bitmap || strcmp(text, "all") == 0) return 0;
  if (read_numbers(text, ',', 4, 0, MOST_EDGE, numbers) || !numbers[2] || !numbers[3]) return -1;
  now->has_crop = 1;
  now->crop = (Box){(int)numbers[0], (int)numbers[1], (int)numbers[2], (int)numbers[3]};
  return 0;
}

static int set(const char *name, const char *text, Options *options, PhotoOptions *now) {
  long numbers[2];
  if (strcmp(name, "--in") == 0) {
    now->folder = text;
    return *text ? 0 : -1;
  }
  if (strcmp(name, "--crop") == 0) return read_crop(text, now);
  if (strcmp(name, "--range") == 0) return read_range(text, options);
  if (strcmp(name, "--dump") == 0) {
    options->dump = text;
    return *text ? 0 : -1;
  }
  if (strcmp(name, "--size") == 0) {
    if (read_numbers(text, 'x', 2, 1, MOST_SIDE, numbers)) return -1;
    options->width = (int)numbers[0], options->height = (int)numbers[1];
    return 0;
  }
  if (read_numbers(text, 0, 1, 0, INT_MAX, numbers)) return -1;
  long number = numbers[0];
  if (strcmp(name, "--runs") == 0) {
    options->runs = (int)number;
    return number >= 1 && number <= MOST_PASSES ? 0 : -1;
  }
  if (strcmp(name, "--warm_up") == 0) {
    options->warm_up = (int)number;
    return number <= MOST_PASSES ? 0 : -1;
  }
  if (strcmp(name, "--channels") == 0) {
    options->channels = (int)number;
    return number == 1 || number == 3 ? 0 : -1;
  }
  if (strcmp(name, "--scale") == 0) {
    now->scale = (int)number;
    return number == 1 || number == 2 || number == 4 || number == 8 ? 0 : -1;
  }
  options->memory_bytes = (uint64_t)number * 1000000; /* --memory_mb */
  return number >= 1 ? 0 : -1;
}

static int takes_value(const char *word) {
  static const char *const names[] = {"--runs", "--warm_up", "--size", "--channels", "--range",
                                      "--memory_mb", "--dump", "--in", "--scale", "--crop"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(word, names[i]) == 0) return 1;
  return 0;
}

int options_parse(int count, char **words, Options *options, char problem[256]) {
  *options = (Options){.runs = 5, .warm_up = 1, .width = 224, .height = 224, .channels = 1,
                       .low = 0, .high = 1, .memory_bytes = 512000000};
  PhotoOptions now = {.scale = 1};
  int only_photos = 0;
  options->photos = calloc((size_t)count + 1, sizeof *options->photos);
  if (options->photos == NULL) {
    snprintf(problem, 256, "There is no memory for so many photos.");
    return -1;
  }
  for (int i = 1; i < count; i++) {
    char *word = words[i];
    if (only_photos || strncmp(word, "--", 2) != 0) {
      options->photos[options->photo_count] = now;
      options->photos[options->photo_count++].name = word;
    } else if (strcmp(word, "--") == 0) {
      only_photos = 1;
    } else if (strcmp(word, "--help") == 0) {
      options->help = 1;
    } else if (strcmp(word, "--version") == 0) {
      options->version = 1;
    } else if (!takes_value(word)) {
      snprintf(problem, 256, "%.60s is no option of stage_bench; see --help.", word);
      return -1;
    } else if (i + 1 == count || set(word, words[++i], options, &now) != 0) {
      snprintf(problem, 256, "%s cannot be %.60s; see --help.", word,
               i < count ? words[i] : "nothing");
      return -1;
    }
  }
  if (!options->photo_count && !options->help && !options->version) {
    snprintf(problem, 256, "No photo is named; see --help.");
    return -1;
  }
  return 0;
}
