/* Times the stages bitmap, resize and grey of classifying photos, on whatever runs it: see USAGE
   in options.c, and device/README.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jconfig.h>

#include "json.h"
#include "options.h"
#include "photo.h"
#include "pixels.h"

#define TEXT_OF(word) #word
#define TEXT(word) TEXT_OF(word)
#define FORMAT 1 /* of the lines; fer_opt/device/stage_bench/parse.py reads this one */

#if defined(__aarch64__)
#define ABI "arm64-v8a"
#elif defined(__arm__)
#define ABI "armeabi-v7a"
#elif defined(__x86_64__)
#define ABI "x86_64"
#else
#define ABI "unknown"
#endif

enum { PATH_BYTES = 4096 };

typedef struct {
  int pass, order, warm_up; /* order: of the photo within the pass */
} Place;

typedef struct {
  unsigned char *resized; /* height x width x 3 */
  float *tensor;          /* height x width x channels */
} Buffers;

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void begin_line(const PhotoOptions *photo, Place place) {
  printf("{\"photo\": ");
  json_string(stdout, photo->name);
  printf(", \"pass\": %d, \"order\": %d, \"warm_up\": %s, ", place.pass, place.order,
         place.warm_up ? "true" : "false");
}

static void say_stage(const PhotoOptions *photo, Place place, const char *stage, int64_t ns,
                      int width, int height) {
  begin_line(photo, place);
  printf("\"stage\": \"%s\", \"ms\": %lld.%06lld, \"width\": %d, \"height\": %d", stage,
         (long long)(ns / 1000000), (long long)(ns % 1000000), width, height);
}

static void say_error(PhotoOptions *photo, Place place, const char *clause) {
  photo->failed = 1;
  begin_line(photo, place);
  printf("\"error\": ");
  json_string(stdout, clause);
  printf("}\n");
}

static const char *path_of(const PhotoOptions *photo, char path[PATH_BYTES]) {
  if (photo->folder == NULL) return photo->name;
  int length = snprintf(path, PATH_BYTES, "%s/%s", photo->folder, photo->name);
  return length < PATH_BYTES ? path : "";
}

static int dump(const Options *options, int order, const char *what, const void *content,
                size_t bytes, char *reason) {
  char path[PATH_BYTES];
  int length = snprintf(path, sizeof path, "%s/%d-%s", options->dump, order, what);
  FILE *file = length < PATH_BYTES ? fopen(path, "wb") : NULL;
  int failed = file == NULL || fwrite(content, 1, bytes, file) != bytes;
  if (file != NULL && fclose(file) != 0) failed = 1;
  if (failed)
    snprintf(reason, REASON_BYTES, "has a dump that cannot be written (%s)", strerror(errno));
  return failed ? -1 : 0;
}

static int dump_all(const Options *options, int order, const Photo *bitmap, const Buffers *buffers,
                    int only_bitmap, char *reason) {
  size_t pixels = (size_t)options->width * (size_t)options->height;
  size_t floats = pixels * (size_t)options->channels;
  size_t bytes = (size_t)bitmap->width * (size_t)bitmap->height * 3;
  if (dump(options, order, "bitmap.rgb", bitmap->pixels, bytes, reason)) return -1;
  if (only_bitmap) return 0;
  if (dump(options, order, "resize.rgb", buffers->resized, pixels * 3, reason)) return -1;
  return dump(options, order, "tensor.f32", buffers->tensor, floats * sizeof(float), reason);
}

static void time_photo(const Options *options, PhotoOptions *photo, Place place,
                       const Buffers *buffers) {
  char reason[REASON_BYTES], path[PATH_BYTES];
  Photo bitmap;
  const char *file = path_of(photo, path);
  int64_t begin = now_ns();
  if (photo_read(file, photo->scale, options->memory_bytes, &bitmap, reason) != 0) {
    say_error(photo, place, reason);
    return;
  }
  int64_t end = now_ns(), decoded = 0, resized = 0, grey = 0;
  Box whole = {0, 0, bitmap.full_width, bitmap.full_height};
  Box crop = box_in_decoded(photo->has_crop ? photo->crop : whole, bitmap.full_width,
                            bitmap.full_height, bitmap.width, bitmap.height);
  int failed = 0;
  if (!photo->only_bitmap) {
    decoded = now_ns();
    failed = resize_rgb(bitmap.pixels, (size_t)bitmap.width * 3, crop, buffers->resized,
                        options->width, options->height);
    resized = now_ns();
    to_tensor(buffers->resized, (size_t)options->width * (size_t)options->height,
              options->channels, (float)((options->high - options->low) / 255.0),
              (float)options->low, buffers->tensor);
    grey = now_ns();
    if (failed) snprintf(reason, sizeof reason, "cannot be resized, as memory is short");
  }
  if (!failed && options->dump && place.pass == 0)
    failed = dump_all(options, place.order, &bitmap, buffers, photo->only_bitmap, reason);
  photo_free(&bitmap);
  if (failed) {
    say_error(photo, place, reason);
    return;
  }
  say_stage(photo, place, "bitmap", end - begin, bitmap.width, bitmap.height);
  printf(", \"full_width\": %d, \"full_height\": %d, \"orientation\": %d, \"scale\": %d, "
         "\"file_bytes\": %llu, \"warnings\": %ld}\n",
         bitmap.full_width, bitmap.full_height, bitmap.orientation, photo->scale,
         (unsigned long long)bitmap.file_bytes, bitmap.warnings);
  if (photo->only_bitmap) return;
  say_stage(photo, place, "resize", resized - decoded, options->width, options->height);
  printf(", \"crop\": [%d, %d, %d, %d]}\n", crop.left, crop.top, crop.width, crop.height);
  say_stage(photo, place, "grey", grey - resized, options->width, options->height);
  printf(", \"channels\": %d}\n", options->channels);
}

static int run(const Options *options) {
  size_t pixels = (size_t)options->width * (size_t)options->height;
  Buffers buffers = {malloc(pixels * 3), malloc(pixels * (size_t)options->channels * sizeof(float))};
  int failed = 0, lines = 0;
  printf("{\"stage_bench\": %d, \"libjpeg_turbo\": \"" TEXT(LIBJPEG_TURBO_VERSION)
         "\", \"simd\": \"" STAGE_BENCH_SIMD "\", \"abi\": \"" ABI "\", \"photos\": %d, "
         "\"warm_up\": %d, \"runs\": %d, \"width\": %d, \"height\": %d, \"channels\": %d}\n",
         FORMAT, options->photo_count, options->warm_up, options->runs, options->width,
         options->height, options->channels);
  if (buffers.resized == NULL || buffers.tensor == NULL) {
    printf("{\"error\": \"There is no memory for an input of this size.\"}\n");
    failed = 1;
  }
  for (int pass = 0; !failed && pass < options->warm_up + options->runs; pass++)
    for (int order = 0; order < options->photo_count; order++) {
      if (options->photos[order].failed) continue;
      Place place = {pass, order, pass < options->warm_up};
      time_photo(options, &options->photos[order], place, &buffers);
      if (fflush(stdout) != 0) return 1; /* nobody listens any more */
      lines++;
    }
  for (int order = 0; order < options->photo_count; order++)
    failed |= options->photos[order].failed;
  printf("{\"end\": %d}\n", lines);
  free(buffers.resized);
  free(buffers.tensor);
  return fflush(stdout) != 0 || failed;
}

int main(int count, char **words) {
  Options options;
  char problem[256];
  int status = 0;
  if (options_parse(count, words, &options, problem) != 0) {
    printf("{\"error\": ");
    json_string(stdout, problem);
    printf("}\n");
    status = 2;
  } else if (options.help) {
    fputs(USAGE, stdout);
  } else if (options.version) {
    printf("stage_bench format %d, libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION)
           ", SIMD: " STAGE_BENCH_SIMD ", " ABI "\n", FORMAT);
  } else {
    status = run(&options);
  }
  free(options.photos);
  return status;
}
