/* The first stage: a JPEG file in, upright RGB pixels out. */
#ifndef PHOTO_H
#define PHOTO_H

#include <stddef.h>
#include <stdint.h>

enum { REASON_BYTES = 320 };

typedef struct {
  unsigned char *pixels;       /* height x width x 3, RGB, upright; freed by photo_free */
  int width, height;           /* as decoded */
  int full_width, full_height; /* of the upright photo at full size */
  int orientation;             /* EXIF's, 1 to 8 */
  long warnings;               /* of libjpeg about damaged data, which it patches up */
  uint64_t file_bytes;
} Photo;

/* Read and decode a photo as Pillow does: accurate DCT, smooth upsampling, CMYK as Adobe means it.

   scale: 1, 2, 4 or 8; the part of each side that is decoded (libjpeg's scale_denom).
   memory_bytes: most that file, pixels and decoder may take together.
   Returns 0, or -1 with a clause in reason ("is missing", "is cut short"). */
int photo_read(const char *path, int scale, uint64_t memory_bytes, Photo *photo,
               char reason[REASON_BYTES]);

void photo_free(Photo *photo);

#endif
