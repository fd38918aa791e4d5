#include "json.h"

#include <stdint.h>

/* Bytes of the UTF-8 character at `text` and its code point; 0 where it is none. */
static int character(const unsigned char *text, uint32_t *point) {
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  int bytes = text[0] < 0x80 ? 1 : text[0] >> 5 == 6 ? 2 : text[0] >> 4 == 14 ? 3
              : text[0] >> 3 == 30 ? 4 : 0;
  if (bytes == 0) return 0;
  *point = bytes == 1 ? text[0] : text[0] & (0xFFu >> (bytes + 1));
  for (int i = 1; i < bytes; i++) {
    if (text[i] >> 6 != 2) return 0; /* the closing zero is none either */
    *point = *point << 6 | (text[i] & 0x3Fu);
  }
  int surrogate = *point >= 0xD800 && *point <= 0xDFFF;
  return *point < least[bytes] || *point > 0x10FFFF || surrogate ? 0 : bytes;
}

void json_string(FILE *file, const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  putc('"', file);
  while (*at) {
    uint32_t point = 0;
    int bytes = character(at, &point);
    if (bytes == 0)
      fprintf(file, "\\udc%02x", *at++);
    else if (point == '"' || point == '\\')
      fprintf(file, "\\%c", (int)point);
    else if (point >= 0x20 && point < 0x7F)
      putc((int)point, file);
    else if (point < 0x10000)
      fprintf(file, "\\u%04x", (unsigned)point);
    else
      fprintf(file, "\\u%04x\\u%04x", (unsigned)(0xD7C0 + (point >> 10)),
              (unsigned)(0xDC00 | (point & 0x3FF)));
    at += bytes;
  }
  putc('"', file);
}
