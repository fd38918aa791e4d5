/* Source of the arithmetic: OpenCV 4's modules/imgproc/src/resize.cpp (HResizeLinear,
   VResizeLinear<uchar, int, short>, whose SIMD and plain versions agree) and color_rgb.simd.hpp
   (RGB2Gray<uchar>, 15 bits). To be compiled without contraction of a * b + c. */
#include "pixels.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, ONE = 2048 }; /* INTER_RESIZE_COEF_SCALE: weights have 11 bits */

typedef struct {
  int first, second; /* pixels that are mixed */
  int weight, other; /* of the first, of the second; 2048 is one */
} Tap;

static int scaled_edge(int64_t edge, int64_t full, int64_t decoded) {
  return (int)((2 * edge * decoded + full) / (2 * full));
}

static int clipped(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

static void scale_side(int *start, int *length, int full, int decoded) {
  int64_t end = (int64_t)*start + *length;
  int first = clipped(*start, 0, full), last = (int)(end > full ? full : end < 0 ? 0 : end);
  first = clipped(scaled_edge(first, full, decoded), 0, decoded - 1);
  last = clipped(scaled_edge(last, full, decoded), first + 1, decoded);
  *start = first;
  *length = last - first;
}

Box box_in_decoded(Box box, int full_width, int full_height, int width, int height) {
  scale_side(&box.left, &box.width, full_width, width);
  scale_side(&box.top, &box.height, full_height, height);
  return box;
}

static int weight_of(float share) { return (int)lrintf(share * (float)ONE); }

/* For each of `to` output pixels, the two of `from` input pixels between which its centre lies.
   OpenCV gives columns beyond the edge the edge's full weight; rows it repeats instead. */
static void find_taps(Tap *taps, int from, int to, int columns) {
  double scale = 1.0 / ((double)to / from);
  for (int i = 0; i < to; i++) {
    float centre = (float)((i + 0.5) * scale - 0.5);
    int first = (int)floorf(centre);
    float share = centre - (float)first;
    if (columns && (first < 0 || first >= from - 1)) {
      first = clipped(first, 0, from - 1);
      share = 0;
    }
    taps[i] = (Tap){clipped(first, 0, from - 1), clipped(first + 1, 0, from - 1),
                    weight_of(1.0f - share), weight_of(share)};
  }
}

static void mix_columns(const unsigned char *row, const Tap *taps, int width, int *mixed) {
  for (int x = 0; x < width; x++) {
    const unsigned char *one = row + (size_t)taps[x].first * CHANNELS;
    const unsigned char *two = row + (size_t)taps[x].second * CHANNELS;
    int weight = taps[x].weight, other = taps[x].other;
    for (int channel = 0; channel < CHANNELS; channel++)
      *mixed++ = one[channel] * weight + two[channel] * other;
  }
}

static void mix_rows(const int *one, const int *two, Tap tap, int count, unsigned char *out) {
  for (int i = 0; i < count; i++)
    out[i] = (unsigned char)(((tap.weight * (one[i] >> 4) >> 16) +
                              (tap.other * (two[i] >> 4) >> 16) + 2) >> 2);
}

/* At exactly half the size OpenCV averages four pixels. */
static void halve(const unsigned char *from, size_t row_bytes, unsigned char *to, int width,
                  int height) {
  for (int y = 0; y < height; y++) {
    const unsigned char *upper = from + (size_t)y * 2 * row_bytes, *lower = upper + row_bytes;
    for (int x = 0; x < width; x++, upper += 2 * CHANNELS, lower += 2 * CHANNELS)
      for (int i = 0; i < CHANNELS; i++)
        *to++ = (unsigned char)((upper[i] + upper[i + CHANNELS] + lower[i] +
                                 lower[i + CHANNELS] + 2) >> 2);
  }
}

static void mix(const unsigned char *from, size_t row_bytes, const Tap *columns, const Tap *rows,
                int *mixed, unsigned char *to, int width, int height) {
  int count = width * CHANNELS, kept[2] = {-1, -1}; /* which rows are mixed already */
  int *lines[2] = {mixed, mixed + count};
  for (int y = 0; y < height; y++, to += count) {
    int wanted[2] = {rows[y].first, rows[y].second};
    if (kept[1] == wanted[0] && kept[0] != wanted[0]) {
      int *line = lines[0];
      lines[0] = lines[1], lines[1] = line;
      kept[1] = kept[0], kept[0] = wanted[0];
    }
    for (int i = 0; i < 2; i++)
      if (kept[i] != wanted[i]) {
        mix_columns(from + (size_t)wanted[i] * row_bytes, columns, width, lines[i]);
        kept[i] = wanted[i];
      }
    mix_rows(lines[0], lines[1], rows[y], count, to);
  }
}

int resize_rgb(const unsigned char *pixels, size_t row_bytes, Box crop, unsigned char *resized,
               int width, int height) {
  const unsigned char *from = pixels + (size_t)crop.top * row_bytes + (size_t)crop.left * CHANNELS;
  if (crop.width == width && crop.height == height) {
    size_t bytes = (size_t)width * CHANNELS;
    for (int y = 0; y < height; y++)
      memcpy(resized + (size_t)y * bytes, from + (size_t)y * row_bytes, bytes);
    return 0;
  }
  if (crop.width == 2 * width && crop.height == 2 * height) {
    halve(from, row_bytes, resized, width, height);
    return 0;
  }
  Tap *taps = malloc(((size_t)width + (size_t)height) * sizeof *taps);
  int *mixed = malloc((size_t)width * CHANNELS * 2 * sizeof *mixed);
  int failed = taps == NULL || mixed == NULL;
  if (!failed) {
    find_taps(taps, crop.width, width, 1);
    find_taps(taps + width, crop.height, height, 0);
    mix(from, row_bytes, taps, taps + width, mixed, resized, width, height);
  }
  free(taps);
  free(mixed);
  return failed ? -1 : 0;
}

void to_tensor(const unsigned char *rgb, size_t count, int channels, float span, float low,
               float *tensor) {
  if (channels == 1)
    for (size_t i = 0; i < count; i++) {
      int red = rgb[CHANNELS * i], green = rgb[CHANNELS * i + 1], blue = rgb[CHANNELS * i + 2];
      int grey = (red * 9798 + green * 19235 + blue * 3735 + (1 << 14)) >> 15;
      tensor[i] = (float)grey * span + low;
    }
  else
    for (size_t i = 0; i < count * CHANNELS; i++) tensor[i] = (float)rgb[i] * span + low;
}
