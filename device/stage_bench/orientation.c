/* Layout: TIFF 6.0 section 2 (header, IFD) and EXIF 2.3 section 4.6.4 (tag 274, Orientation). */
#include "orientation.h"

#include <stdint.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_BYTE = 1, TYPE_SHORT = 3, TYPE_LONG = 4 };
enum { HEADER_BYTES = 8, ENTRY_BYTES = 12 };

static uint32_t number(const unsigned char *at, int bytes, int big_endian) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++)
    value = value << 8 | at[big_endian ? i : bytes - 1 - i];
  return value;
}

static int checked(uint32_t value) { return value >= 1 && value <= 8 ? (int)value : 0; }

static int of_entry(const unsigned char *entry, int big_endian) {
  if (number(entry + 4, 4, big_endian) != 1) return 0; /* how many values */
  switch (number(entry + 2, 2, big_endian)) {
    case TYPE_BYTE: return checked(entry[8]);
    case TYPE_SHORT: return checked(number(entry + 8, 2, big_endian));
    case TYPE_LONG: return checked(number(entry + 8, 4, big_endian));
    default: return 0;
  }
}

int orientation_of_exif(const unsigned char *data, size_t size_bytes) {
  static const unsigned char mark[6] = "Exif\0";
  if (size_bytes < sizeof mark || memcmp(data, mark, sizeof mark) != 0) return 0;
  const unsigned char *tiff = data + sizeof mark;
  size_t left = size_bytes - sizeof mark;
  if (left >= sizeof mark && memcmp(tiff, mark, sizeof mark) == 0) { /* some write it twice */
    tiff += sizeof mark;
    left -= sizeof mark;
  }
  if (left < HEADER_BYTES) return 0;
  int big_endian = memcmp(tiff, "MM\0*", 4) == 0;
  if (!big_endian && memcmp(tiff, "II*\0", 4) != 0) return 0;
  uint32_t directory = number(tiff + 4, 4, big_endian);
  if (directory > left || left - directory < 2) return 0;
  size_t entries = number(tiff + directory, 2, big_endian);
  const unsigned char *entry = tiff + directory + 2;
  size_t whole = (left - directory - 2) / ENTRY_BYTES;
  if (entries > whole) entries = whole;
  for (; entries > 0; entries--, entry += ENTRY_BYTES)
    if (number(entry, 2, big_endian) == TAG_ORIENTATION) return of_entry(entry, big_endian);
  return 0;
}

int orientation_of_xmp(const unsigned char *data, size_t size_bytes) {
  static const char space[] = "http://ns.adobe.com/xap/1.0/"; /* and its zero byte */
  static const char tag[] = "tiff:Orientation";
  size_t tag_bytes = sizeof tag - 1;
  if (size_bytes < sizeof space || memcmp(data, space, sizeof space) != 0) return 0;
  for (size_t i = sizeof space; i + tag_bytes + 2 <= size_bytes; i++) {
    if (memcmp(data + i, tag, tag_bytes) != 0) continue;
    const unsigned char *at = data + i + tag_bytes, *end = data + size_bytes;
    if (end - at >= 3 && at[0] == '=' && at[1] == '"' && at[2] >= '0' && at[2] <= '9')
      return checked((uint32_t)(at[2] - '0'));
    if (at[0] == '>' && at[1] >= '0' && at[1] <= '9') return checked((uint32_t)(at[1] - '0'));
  }
  return 0;
}
