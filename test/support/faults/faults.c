/*
 * Comes before libc (LD_PRELOAD) in a process under test, counts the calls that it makes on files below one folder, and lets one
 * of them go wrong.
 *
 *   FAULTS_FOLDER  absolute path; calls on paths below it, and on files that were opened there, are counted from 1
 *   FAULTS_AT      <n>:EIO     the n-th call fails with EIO, once
 *                  <n>:ENOSPC  it and each later call that can need space fails with ENOSPC
 *                  <n>:KILL    SIGKILL right before it
 *   FAULTS_LOG     a file that each call is written to, before it is made: "<n> <call> <path>[ <second path>]", and when it has
 *                  failed "<n> failed"; paths must not hold blanks
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FILES 4096
#define LONGEST 4096

enum fault { NONE, IO_ERROR, NO_SPACE, KILL };

static const char *folder;
static size_t folder_length;
static enum fault fault = NONE;
static long fault_at;
static int log_file = -1;
static long calls;
/* The number of this thread's last call. */
static __thread long last_call;
/* Paths of open files below the folder. */
static char *paths[MOST_FILES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                                                                          \
  static type (*real)(__VA_ARGS__);                                                                                    \
  if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void begin(void) {
  folder = getenv("FAULTS_FOLDER");
  if (folder == NULL) return;
  folder_length = strlen(folder);
  const char *at = getenv("FAULTS_AT");
  if (at != NULL) {
    char *kind;
    fault_at = strtol(at, &kind, 10);
    if (strcmp(kind, ":EIO") == 0) fault = IO_ERROR;
    if (strcmp(kind, ":ENOSPC") == 0) fault = NO_SPACE;
    if (strcmp(kind, ":KILL") == 0) fault = KILL;
  }
  const char *log = getenv("FAULTS_LOG");
  if (log != NULL) {
    int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    log_file = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
}

static int is_below(const char *path) {
  return folder != NULL && path != NULL && strncmp(path, folder, folder_length) == 0 &&
         (path[folder_length] == '/' || path[folder_length] == '\0');
}

static void write_log(const char *line, int length) {
  static ssize_t (*real_write)(int, const void *, size_t);
  if (log_file < 0) return;
  if (real_write == NULL) real_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (real_write(log_file, line, (size_t)length) < 0) abort();
}

/* Counts a call. Returns 0 to let it through, else the error that it fails with. */
static int count(const char *call, const char *path, const char *other, int needs_space) {
  pthread_mutex_lock(&mutex);
  long n = ++calls;
  last_call = n;
  char line[3 * LONGEST];
  write_log(line, snprintf(line, sizeof line, "%ld %s %s%s%s\n", n, call, path, other == NULL ? "" : " ",
                           other == NULL ? "" : other));
  pthread_mutex_unlock(&mutex);
  if (fault == KILL && n == fault_at) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  if (fault == IO_ERROR && n == fault_at) return EIO;
  if (fault == NO_SPACE && n >= fault_at && needs_space) return ENOSPC;
  return 0;
}

/* The result of a call on a path, which is logged when it failed. */
static int result_of(const char *path, int result) {
  if (result >= 0 || !is_below(path)) return result;
  int error = errno;
  char line[64];
  write_log(line, snprintf(line, sizeof line, "%ld failed\n", last_call));
  errno = error;
  return result;
}

#define FAIL_PATH(call, path, other, needs_space)                                                                      \
  if (is_below(path)) {                                                                                                \
    int failed = count(call, path, other, needs_space);                                                                \
    if (failed != 0) {                                                                                                 \
      errno = failed;                                                                                                  \
      return -1;                                                                                                       \
    }                                                                                                                  \
  }

static const char *path_of(int file) { return file >= 0 && file < MOST_FILES ? paths[file] : NULL; }

#define FAIL_FILE(call, file, needs_space)                                                                             \
  if (path_of(file) != NULL) {                                                                                         \
    int failed = count(call, path_of(file), NULL, needs_space);                                                        \
    if (failed != 0) {                                                                                                 \
      errno = failed;                                                                                                  \
      return -1;                                                                                                       \
    }                                                                                                                  \
  }

static int remember(int file, const char *path) {
  if (file >= 0 && file < MOST_FILES && is_below(path)) paths[file] = strdup(path);
  return file;
}

#define OPEN(name)                                                                                                     \
  int name(const char *path, int flags, ...) {                                                                         \
    REAL(int, #name, const char *, int, ...);                                                                          \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                             \
      va_list rest;                                                                                                    \
      va_start(rest, flags);                                                                                           \
      mode = va_arg(rest, mode_t);                                                                                     \
      va_end(rest);                                                                                                    \
    }                                                                                                                  \
    FAIL_PATH(flags & O_CREAT ? "create" : "open", path, NULL, flags & O_CREAT)                                        \
    return remember(result_of(path, real(path, flags, mode)), path);                                                                    \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
  int name(int at, const char *path, int flags, ...) {                                                                 \
    REAL(int, #name, int, const char *, int, ...);                                                                     \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                             \
      va_list rest;                                                                                                    \
      va_start(rest, flags);                                                                                           \
      mode = va_arg(rest, mode_t);                                                                                     \
      va_end(rest);                                                                                                    \
    }                                                                                                                  \
    FAIL_PATH(flags & O_CREAT ? "create" : "open", path, NULL, flags & O_CREAT)                                        \
    return remember(result_of(path, real(at, path, flags, mode)), path);                                                                \
  }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) {
  REAL(int, "creat", const char *, mode_t);
  FAIL_PATH("create", path, NULL, 1)
  return remember(result_of(path, real(path, mode)), path);
}

ssize_t read(int file, void *buffer, size_t length) {
  REAL(ssize_t, "read", int, void *, size_t);
  FAIL_FILE("read", file, 0)
  return real(file, buffer, length);
}

ssize_t readv(int file, const struct iovec *parts, int number) {
  REAL(ssize_t, "readv", int, const struct iovec *, int);
  FAIL_FILE("read", file, 0)
  return real(file, parts, number);
}

#define PREAD(name)                                                                                                    \
  ssize_t name(int file, void *buffer, size_t length, off_t offset) {                                                  \
    REAL(ssize_t, #name, int, void *, size_t, off_t);                                                                  \
    FAIL_FILE("read", file, 0)                                                                                         \
    return real(file, buffer, length, offset);                                                                         \
  }
PREAD(pread)
PREAD(pread64)

ssize_t write(int file, const void *buffer, size_t length) {
  REAL(ssize_t, "write", int, const void *, size_t);
  FAIL_FILE("write", file, 1)
  return real(file, buffer, length);
}

ssize_t writev(int file, const struct iovec *parts, int number) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  FAIL_FILE("write", file, 1)
  return real(file, parts, number);
}

#define PWRITE(name)                                                                                                   \
  ssize_t name(int file, const void *buffer, size_t length, off_t offset) {                                            \
    REAL(ssize_t, #name, int, const void *, size_t, off_t);                                                            \
    FAIL_FILE("write", file, 1)                                                                                        \
    return real(file, buffer, length, offset);                                                                         \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                                                  \
  ssize_t name(int file, const struct iovec *parts, int number, off_t offset) {                                        \
    REAL(ssize_t, #name, int, const struct iovec *, int, off_t);                                                       \
    FAIL_FILE("write", file, 1)                                                                                        \
    return real(file, parts, number, offset);                                                                          \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define FSYNC(name)                                                                                                    \
  int name(int file) {                                                                                                 \
    REAL(int, #name, int);                                                                                             \
    FAIL_FILE("fsync", file, 1)                                                                                        \
    return real(file);                                                                                                 \
  }
FSYNC(fsync)
FSYNC(fdatasync)

/* Where a close fails the file is closed nevertheless, as on Linux. */
static int close_and_count(int file, int (*real)(int)) {
  int failed = count("close", path_of(file), NULL, 0);
  free(paths[file]);
  paths[file] = NULL;
  int result = real(file);
  if (failed == 0) return result;
  errno = failed;
  return -1;
}

int close(int file) {
  REAL(int, "close", int);
  return path_of(file) == NULL ? real(file) : close_and_count(file, real);
}

/* libuv closes files so; the other calls that it makes so do not change files (io_uring is switched off by the test). */
long syscall(long number, ...) {
  REAL(long, "syscall", long, ...);
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_close && path_of((int)a[0]) != NULL) {
    int (*real_close)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
    return close_and_count((int)a[0], real_close);
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  FAIL_PATH("rename", from, to, 1)
  return result_of(from, real(from, to));
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
  REAL(int, "renameat", int, const char *, int, const char *);
  FAIL_PATH("rename", from, to, 1)
  return result_of(from, real(from_at, from, to_at, to));
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned int flags) {
  REAL(int, "renameat2", int, const char *, int, const char *, unsigned int);
  FAIL_PATH("rename", from, to, 1)
  return result_of(from, real(from_at, from, to_at, to, flags));
}

int link(const char *from, const char *to) {
  REAL(int, "link", const char *, const char *);
  FAIL_PATH("link", from, to, 1)
  return result_of(from, real(from, to));
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  REAL(int, "linkat", int, const char *, int, const char *, int);
  FAIL_PATH("link", from, to, 1)
  return result_of(from, real(from_at, from, to_at, to, flags));
}

int symlink(const char *target, const char *path) {
  REAL(int, "symlink", const char *, const char *);
  FAIL_PATH("symlink", path, NULL, 1)
  return result_of(path, real(target, path));
}

int symlinkat(const char *target, int at, const char *path) {
  REAL(int, "symlinkat", const char *, int, const char *);
  FAIL_PATH("symlink", path, NULL, 1)
  return result_of(path, real(target, at, path));
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  FAIL_PATH("unlink", path, NULL, 0)
  return result_of(path, real(path));
}

int unlinkat(int at, const char *path, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  FAIL_PATH(flags & AT_REMOVEDIR ? "rmdir" : "unlink", path, NULL, 0)
  return result_of(path, real(at, path, flags));
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  FAIL_PATH("mkdir", path, NULL, 1)
  return result_of(path, real(path, mode));
}

int mkdirat(int at, const char *path, mode_t mode) {
  REAL(int, "mkdirat", int, const char *, mode_t);
  FAIL_PATH("mkdir", path, NULL, 1)
  return result_of(path, real(at, path, mode));
}

int rmdir(const char *path) {
  REAL(int, "rmdir", const char *);
  FAIL_PATH("rmdir", path, NULL, 0)
  return result_of(path, real(path));
}
