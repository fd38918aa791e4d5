/* Which way up a photo is, from the metadata of its JPEG. */
#ifndef ORIENTATION_H
#define ORIENTATION_H

#include <stddef.h>

/* EXIF's orientation (1 to 8) in the content of one APP1 marker; 0 where it tells none.
   Reads nothing outside the size_bytes bytes, whatever they are. */
int orientation_of_exif(const unsigned char *data, size_t size_bytes);

/* The same of an XMP packet (tiff:Orientation), which Pillow heeds where EXIF tells none. */
int orientation_of_xmp(const unsigned char *data, size_t size_bytes);

#endif
