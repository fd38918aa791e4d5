/* Crop, resize, grey and scaling, with OpenCV's and NumPy's arithmetic to the last bit. */
#ifndef PIXELS_H
#define PIXELS_H

#include <stddef.h>

typedef struct {
  int left, top, width, height;
} Box;

/* The box, stated in pixels of the upright full-size photo, in those that were decoded: edges
   scaled and rounded to the nearest (halves up), clipped, and at least one pixel. */
Box box_in_decoded(Box box, int full_width, int full_height, int width, int height);

/* cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR) of uint8 RGB.

   pixels: the photo's, with row_bytes from one row to the next.
   resized: width * height * 3 bytes.
   Returns 0, or -1 where memory is short. */
int resize_rgb(const unsigned char *pixels, size_t row_bytes, Box crop, unsigned char *resized,
               int width, int height);

/* cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), or the RGB image itself where channels is 3, as
   float32: value * span + low. tensor: count * channels floats. */
void to_tensor(const unsigned char *rgb, size_t count, int channels, float span, float low,
               float *tensor);

#endif
