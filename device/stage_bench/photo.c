#include "photo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <jerror.h>

#include "orientation.h"

enum { STRIP_ROWS = 16 };  /* decoded at once: one row of blocks, which stays in the cache */
enum { MOST_SCANS = 500 }; /* of a progressive JPEG; libjpeg-turbo's own programs stop there too */

/* One decoding. libjpeg reports errors by a jump, after which only what is here is valid. */
typedef struct {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  jmp_buf failed;
  unsigned char *file, *strip, *pixels;
  char *reason;
} Decoding;

static int refuse(char *reason, const char *clause) {
  snprintf(reason, REASON_BYTES, "%s", clause);
  return -1;
}

static int refuse_errno(char *reason) {
  if (errno == ENOENT) return refuse(reason, "is missing");
  snprintf(reason, REASON_BYTES, "cannot be read (%s)", strerror(errno));
  return -1;
}

/* ---- the file ---- */

static int read_whole(int file, unsigned char *into, size_t size_bytes) {
  for (size_t done = 0; done < size_bytes;) {
    ssize_t got = read(file, into + done, size_bytes - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) {
      errno = EIO; /* it has shrunk since it was opened */
      return -1;
    }
    done += (size_t)got;
  }
  return 0;
}

static int read_file(const char *path, uint64_t most_bytes, unsigned char **content,
                     uint64_t *size_bytes, char *reason) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would be waited for */
  if (file < 0) return refuse_errno(reason);
  struct stat status;
  int failed = -1;
  *content = NULL;
  if (fstat(file, &status) != 0) {
    refuse_errno(reason);
  } else if (!S_ISREG(status.st_mode)) {
    refuse(reason, S_ISDIR(status.st_mode) ? "is a folder" : "is no regular file");
  } else if (status.st_size == 0) {
    refuse(reason, "is empty");
  } else if ((uint64_t)status.st_size > most_bytes || (uint64_t)status.st_size > SIZE_MAX / 2) {
    refuse(reason, "is a larger file than --memory_mb allows");
  } else if ((*content = malloc((size_t)status.st_size)) == NULL) {
    refuse(reason, "does not fit in memory");
  } else if (read_whole(file, *content, (size_t)status.st_size) != 0) {
    refuse_errno(reason);
    free(*content);
    *content = NULL;
  } else {
    *size_bytes = (uint64_t)status.st_size;
    failed = 0;
  }
  close(file);
  return failed;
}

/* ---- what libjpeg calls ---- */

static void on_error(j_common_ptr common) {
  Decoding *decoding = common->client_data;
  char message[JMSG_LENGTH_MAX];
  if (common->err->msg_code == JERR_OUT_OF_MEMORY ||
      common->err->msg_code == JERR_NO_BACKING_STORE) {
    refuse(decoding->reason, "needs more memory to be decoded than --memory_mb allows");
  } else {
    common->err->format_message(common, message);
    snprintf(decoding->reason, REASON_BYTES, "is a damaged JPEG (%s)", message);
  }
  longjmp(decoding->failed, 1);
}

static void on_message(j_common_ptr common, int level) {
  if (level < 0) common->err->num_warnings++; /* counted, and not printed */
}

static void on_scan(j_common_ptr common) {
  Decoding *decoding = common->client_data;
  if (common->is_decompressor && ((j_decompress_ptr)common)->input_scan_number > MOST_SCANS) {
    refuse(decoding->reason, "has more scans than any honest JPEG");
    longjmp(decoding->failed, 1);
  }
}

static void begin_source(j_decompress_ptr jpeg) { (void)jpeg; }

static boolean fill_source(j_decompress_ptr jpeg) {
  Decoding *decoding = jpeg->client_data;
  refuse(decoding->reason, "is cut short");
  longjmp(decoding->failed, 1);
  return FALSE;
}

static void skip_source(j_decompress_ptr jpeg, long count) {
  if (count <= 0) return;
  if ((unsigned long)count > jpeg->src->bytes_in_buffer) fill_source(jpeg);
  jpeg->src->next_input_byte += count;
  jpeg->src->bytes_in_buffer -= (size_t)count;
}

static void end_source(j_decompress_ptr jpeg) { (void)jpeg; }

/* ---- decoding ---- */

static void set_up(Decoding *decoding, uint64_t file_bytes) {
  j_decompress_ptr jpeg = &decoding->jpeg;
  jpeg_create_decompress(jpeg); /* clears all but err and client_data */
  jpeg->src = &decoding->source;
  jpeg->src->next_input_byte = decoding->file;
  jpeg->src->bytes_in_buffer = (size_t)file_bytes;
  jpeg->src->init_source = begin_source;
  jpeg->src->fill_input_buffer = fill_source;
  jpeg->src->skip_input_data = skip_source;
  jpeg->src->resync_to_restart = jpeg_resync_to_restart;
  jpeg->src->term_source = end_source;
  jpeg->progress = &decoding->progress;
  jpeg->progress->progress_monitor = on_scan;
  jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(jpeg, TRUE);
}

static int find_orientation(j_decompress_ptr jpeg) {
  int exif = 0, xmp = 0;
  for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next) {
    if (!exif) exif = orientation_of_exif(marker->data, marker->data_length);
    if (!xmp) xmp = orientation_of_xmp(marker->data, marker->data_length);
  }
  return exif ? exif : xmp ? xmp : 1;
}

/* Where the decoder's pixels go: the first one, and steps in bytes along its rows and columns. */
typedef struct {
  ptrdiff_t first, along_x, along_y;
} Placing;

static Placing place(int orientation, ptrdiff_t width, ptrdiff_t height) {
  ptrdiff_t x = 3, y = 3 * (orientation >= 5 ? height : width);
  ptrdiff_t last_x = (width - 1), last_y = (height - 1);
  switch (orientation) {
    case 2: return (Placing){last_x * x, -x, y};
    case 3: return (Placing){last_y * y + last_x * x, -x, -y};
    case 4: return (Placing){last_y * y, x, -y};
    case 5: return (Placing){0, y, x};
    case 6: return (Placing){last_y * x, y, -x};
    case 7: return (Placing){last_x * y + last_y * x, -y, -x};
    case 8: return (Placing){last_x * y, -y, x};
    default: return (Placing){0, x, y};
  }
}

static void copy_strip(unsigned char *to, Placing placing, const unsigned char *strip, int width,
                       int rows) {
  if (placing.along_x == 3) {
    for (int row = 0; row < rows; row++)
      memcpy(to + row * placing.along_y, strip + (size_t)row * (size_t)width * 3,
             (size_t)width * 3);
    return;
  }
  for (int x = 0; x < width; x++) {
    unsigned char *pixel = to + x * placing.along_x;
    const unsigned char *from = strip + (size_t)x * 3;
    for (int row = 0; row < rows; row++, pixel += placing.along_y, from += (size_t)width * 3)
      memcpy(pixel, from, 3);
  }
}

static unsigned char share(int one, int other) { /* one * other / 255, rounded as Pillow does */
  int product = one * other + 128;
  return (unsigned char)(((product >> 8) + product) >> 8);
}

/* Adobe stores ink inverted, so that 255 is none; Pillow takes every CMYK JPEG for Adobe's. */
static void cmyk_to_rgb(unsigned char *strip, size_t pixels) {
  unsigned char *rgb = strip;
  for (const unsigned char *cmyk = strip; pixels > 0; pixels--, cmyk += 4, rgb += 3) {
    int light = cmyk[3];
    for (int ink = 0; ink < 3; ink++) {
      int value = light - share(255 - cmyk[ink], light);
      rgb[ink] = (unsigned char)(value < 0 ? 0 : value);
    }
  }
}

static void decode_rows(Decoding *decoding, Placing placing) {
  j_decompress_ptr jpeg = &decoding->jpeg;
  int width = (int)jpeg->output_width, channels = jpeg->output_components;
  size_t row_bytes = (size_t)width * (size_t)channels;
  while (jpeg->output_scanline < jpeg->output_height) {
    JSAMPROW rows[STRIP_ROWS];
    unsigned char *to = decoding->pixels + placing.first +
                        (ptrdiff_t)jpeg->output_scanline * placing.along_y;
    int upright = decoding->strip == NULL, count = 0;
    int left = (int)(jpeg->output_height - jpeg->output_scanline);
    int wanted = left < STRIP_ROWS ? left : STRIP_ROWS;
    for (int row = 0; row < wanted; row++)
      rows[row] = upright ? to + row * placing.along_y : decoding->strip + (size_t)row * row_bytes;
    while (count < wanted)
      count += (int)jpeg_read_scanlines(jpeg, rows + count, (JDIMENSION)(wanted - count));
    if (channels == 4) cmyk_to_rgb(decoding->strip, (size_t)width * (size_t)count);
    if (!upright) copy_strip(to, placing, decoding->strip, width, count);
  }
}

static int decode(Decoding *decoding, int scale, uint64_t memory_bytes, Photo *photo) {
  j_decompress_ptr jpeg = &decoding->jpeg;
  set_up(decoding, photo->file_bytes);
  if (jpeg->num_components != 1 && jpeg->num_components != 3 && jpeg->num_components != 4)
    return refuse(decoding->reason, "has neither one, three nor four colour components");
  photo->orientation = find_orientation(jpeg);
  jpeg->scale_num = 1;
  jpeg->scale_denom = (unsigned)scale;
  jpeg->dct_method = JDCT_ISLOW;
  jpeg->do_fancy_upsampling = TRUE;
  jpeg->out_color_space = jpeg->num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_calc_output_dimensions(jpeg);

  int turned = photo->orientation >= 5, width = (int)jpeg->output_width;
  int height = (int)jpeg->output_height;
  int buffered = photo->orientation > 1 || jpeg->output_components == 4;
  uint64_t pixel_bytes = (uint64_t)width * (uint64_t)height * 3;
  uint64_t strip_bytes = (uint64_t)width * STRIP_ROWS * (uint64_t)jpeg->output_components;
  uint64_t mine = photo->file_bytes + pixel_bytes + (buffered ? strip_bytes : 0);
  if (mine >= memory_bytes || pixel_bytes > SIZE_MAX / 2) {
    snprintf(decoding->reason, REASON_BYTES,
             "has %d x %d pixels, more than fit in the %llu MB of --memory_mb", width, height,
             (unsigned long long)(memory_bytes / 1000000));
    return -1;
  }
  uint64_t others = memory_bytes - mine;
  jpeg->mem->max_memory_to_use = others > LONG_MAX ? LONG_MAX : (long)others;
  decoding->pixels = malloc((size_t)pixel_bytes);
  if (buffered) decoding->strip = malloc((size_t)strip_bytes);
  if (decoding->pixels == NULL || (buffered && decoding->strip == NULL))
    return refuse(decoding->reason, "does not fit in memory");

  jpeg_start_decompress(jpeg);
  decode_rows(decoding, place(photo->orientation, width, height));
  photo->width = turned ? height : width;
  photo->height = turned ? width : height;
  photo->full_width = (int)(turned ? jpeg->image_height : jpeg->image_width);
  photo->full_height = (int)(turned ? jpeg->image_width : jpeg->image_height);
  photo->warnings = jpeg->err->num_warnings;
  return 0;
}

int photo_read(const char *path, int scale, uint64_t memory_bytes, Photo *photo,
               char reason[REASON_BYTES]) {
  memset(photo, 0, sizeof *photo);
  Decoding *decoding = calloc(1, sizeof *decoding);
  if (decoding == NULL) return refuse(reason, "does not fit in memory");
  decoding->reason = reason;
  int failed = read_file(path, memory_bytes, &decoding->file, &photo->file_bytes, reason);
  if (!failed && (photo->file_bytes < 3 || memcmp(decoding->file, "\xff\xd8\xff", 3) != 0))
    failed = refuse(reason, "is no JPEG");
  if (!failed) {
    decoding->jpeg.err = jpeg_std_error(&decoding->errors);
    decoding->errors.error_exit = on_error;
    decoding->errors.emit_message = on_message;
    decoding->jpeg.client_data = decoding;
    if (setjmp(decoding->failed))
      failed = -1;
    else
      failed = decode(decoding, scale, memory_bytes, photo);
    jpeg_destroy_decompress(&decoding->jpeg);
  }
  if (failed)
    free(decoding->pixels);
  else
    photo->pixels = decoding->pixels;
  free(decoding->strip);
  free(decoding->file);
  free(decoding);
  return failed ? -1 : 0;
}

void photo_free(Photo *photo) {
  free(photo->pixels);
  photo->pixels = NULL;
}
