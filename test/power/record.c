/*
 * Records what a process does to the files below one folder, and makes chosen calls fail.
 * Loaded by LD_PRELOAD on 64-bit Linux; see recorder.ts for what is read back, and how.
 *
 *   POWER_ROOT     the folder, without links in its path
 *   POWER_LOG      where records are appended; its size is the time of the recording
 *   POWER_CONTROL  a file of 4 KiB that both sides map, see struct control
 *   POWER_BOOT_ID  a file that stands for the kernel's boot id
 *
 * A record is appended once its call has returned, so that what a later record saw has one
 * before it. A sync has two: what was recorded before its first one is covered by it. A write has
 * two as well: its bytes before it, and a short one once it has returned. A process that ends in
 * between leaves a part of the first, or the first alone, and then the write may have been made.
 * Calls on names are made one at a time, as their order counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HIDDEN static
#define MOST_FDS 65536

/* Names of closed files are not freed: another thread may be reading one. */
enum { START = 1, OPEN, CLOSE, WRITE_BEGIN, FTRUNCATE, TRUNCATE, SYNC_BEGIN, SYNC_END, LINK, RENAME, UNLINK, MKDIR, RMDIR, WRITE_END };

/* At the end of each header: where a record is cut off, the next one is found by it. */
#define MAGIC 0x7d1de3a2u

struct control {
  /* Calls of 10,000 that fail. */
  uint32_t rate;
  uint32_t seed;
  /* SIGKILL before this call, counted down from it; 0: never. */
  int32_t kill_in;
  uint32_t faults;
  /* One sync that fails: of a file whose path ends so, the nth from now. 0: none. */
  int32_t sync_in;
  char sync_path[256];
};

struct header {
  uint32_t bytes; /* of the whole record */
  uint16_t kind;
  uint16_t error; /* errno; 0: done */
  int32_t pid;
  int32_t fd;
  int64_t a;
  int64_t b;
  uint32_t name_bytes; /* the rest is data, or the second name */
  uint32_t magic;
};

HIDDEN const char *root, *boot_id;
HIDDEN size_t root_bytes;
HIDDEN int log_fd = -1;
HIDDEN volatile struct control *control;
HIDDEN char *fds[MOST_FDS];
HIDDEN dev_t devices[MOST_FDS];
HIDDEN ino_t inodes[MOST_FDS];
HIDDEN pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;
HIDDEN uint64_t calls, writes;

HIDDEN void append(int kind, int error, int fd, int64_t a, int64_t b, const char *name, const struct iovec *data, int count, size_t bytes) {
  struct iovec all[1100];
  struct header head = {0, (uint16_t)kind, (uint16_t)error, (int32_t)getpid(), fd, a, b, name ? (uint32_t)strlen(name) : 0, MAGIC};
  int used = 0;
  all[used++] = (struct iovec){&head, sizeof head};
  if (name) all[used++] = (struct iovec){(void *)name, head.name_bytes};
  size_t left = bytes;
  for (int i = 0; i < count && left > 0; i++) {
    size_t some = data[i].iov_len < left ? data[i].iov_len : left;
    all[used++] = (struct iovec){data[i].iov_base, some};
    left -= some;
  }
  head.bytes = (uint32_t)(sizeof head + head.name_bytes + bytes);
  /* One call with O_APPEND: in order with those of other threads, and whole unless the process ends meanwhile. */
  if (syscall(SYS_writev, log_fd, all, used) != (long)head.bytes) {
    static const char text[] = "power: the log cannot be written\n";
    syscall(SYS_write, 2, text, sizeof text - 1);
    abort();
  }
}

__attribute__((constructor)) HIDDEN void begin(void) {
  const char *log = getenv("POWER_LOG"), *shared = getenv("POWER_CONTROL");
  root = getenv("POWER_ROOT");
  boot_id = getenv("POWER_BOOT_ID");
  if (!log || !shared || !root) return;
  root_bytes = strlen(root);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, shared, O_RDWR | O_CLOEXEC, 0);
  if (fd >= 0) control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (control == MAP_FAILED) control = NULL;
  log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (log_fd >= 0) append(START, 0, -1, 0, 0, NULL, NULL, 0, 0);
}

/* Whole path of what a call names; NULL when it is not below the folder. */
HIDDEN char *inside(int at, const char *path) {
  if (log_fd < 0 || !path) return NULL;
  char *whole;
  if (path[0] == '/') whole = strdup(path);
  else {
    char base[4096];
    if (at == AT_FDCWD) {
      if (!getcwd(base, sizeof base)) return NULL;
    } else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", at);
      long n = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
      if (n < 0) return NULL;
      base[n] = 0;
    }
    if (asprintf(&whole, "%s/%s", base, path) < 0) return NULL;
  }
  if (strncmp(whole, root, root_bytes) == 0 && (whole[root_bytes] == '/' || whole[root_bytes] == 0)) return whole;
  free(whole);
  return NULL;
}

/*
 * Whether a descriptor is that of a recorded file, still: libuv closes by a system call of its
 * own, and the number is another file's then, or a socket's.
 */
HIDDEN int known(int fd) {
  struct stat now;
  if (fd < 0 || fd >= MOST_FDS || fds[fd] == NULL) return 0;
  if (fstat(fd, &now) == 0 && now.st_dev == devices[fd] && now.st_ino == inodes[fd]) return 1;
  fds[fd] = NULL;
  return 0;
}

/* Random numbers that a seed repeats (splitmix64). */
HIDDEN uint64_t dice(void) {
  uint64_t z = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) * 0x9e3779b97f4a7c15ull + control->seed;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/* What is to go wrong with this call: an errno of these, or 0. */
HIDDEN int fault(const int *errors, int count) {
  if (!control) return 0;
  if (control->kill_in > 0 && __atomic_sub_fetch(&control->kill_in, 1, __ATOMIC_RELAXED) == 0) {
    syscall(SYS_kill, getpid(), SIGKILL);
    pause();
  }
  if (control->rate == 0) return 0;
  uint64_t roll = dice();
  if (roll % 10000 >= control->rate) return 0;
  __atomic_add_fetch(&control->faults, 1, __ATOMIC_RELAXED);
  return errors[(roll >> 32) % (unsigned)count];
}

HIDDEN const int WRITING[] = {EIO, ENOSPC, -1 /* a part of it */, -1};
HIDDEN const int SYNCING[] = {EIO};
HIDDEN const int NAMING[] = {EIO, ENOSPC, EROFS};
HIDDEN const int OPENING[] = {EMFILE, EIO, ENOSPC};

HIDDEN int failed(int error) {
  errno = error;
  return -1;
}

/* -- opening and closing --------------------------------------------------------- */

HIDDEN int do_open(int at, const char *path, int flags, mode_t mode) {
  if (boot_id && path && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = boot_id;
  char *whole = inside(at, path);
  if (!whole) return (int)syscall(SYS_openat, at, path, flags, mode);
  int error = flags & O_CREAT ? fault(OPENING, 3) : fault(OPENING, 1);
  if (error) {
    free(whole);
    return failed(error);
  }
  pthread_mutex_lock(&names);
  int fd = (int)syscall(SYS_openat, at, path, flags, mode);
  int after = errno;
  if (fd >= 0 && fd < MOST_FDS) {
    struct stat now;
    if (fstat(fd, &now) == 0) {
      append(OPEN, 0, fd, flags, 0, whole, NULL, 0, 0);
      devices[fd] = now.st_dev;
      inodes[fd] = now.st_ino;
      fds[fd] = whole;
    }
  } else free(whole);
  pthread_mutex_unlock(&names);
  errno = after;
  return fd;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open(const char *path, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return do_open(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return do_open(at, path, flags, mode); }
int __open_2(const char *path, int flags) { return do_open(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return do_open(AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
  if (known(fd)) {
    /* Before the number can be another file's. */
    append(CLOSE, 0, fd, 0, 0, NULL, NULL, 0, 0);
    fds[fd] = NULL;
  }
  return (int)syscall(SYS_close, fd);
}

/* -- bytes ---------------------------------------------------------------------- */

/* Writes at `at`, or where the file stands with -1. */
HIDDEN ssize_t do_write(int fd, const struct iovec *data, int count, off_t at) {
  struct iovec part;
  int error = fault(WRITING, 4);
  if (error > 0) return failed(error);
  if (error < 0 && count > 0 && data[0].iov_len > 1) {
    part = (struct iovec){data[0].iov_base, data[0].iov_len / 2};
    data = &part;
    count = 1;
  }
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += data[i].iov_len;
  off_t from = at >= 0 ? at : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
  int64_t token = (int64_t)__atomic_add_fetch(&writes, 1, __ATOMIC_RELAXED);
  append(WRITE_BEGIN, 0, fd, from, token, NULL, data, count, bytes);
  ssize_t done = at >= 0 ? syscall(SYS_pwritev, fd, data, count, (long)at, 0L) : syscall(SYS_writev, fd, data, count);
  int after = errno;
  append(WRITE_END, 0, fd, done > 0 ? done : 0, token, NULL, NULL, 0, 0);
  errno = after;
  return done;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  if (!known(fd)) return syscall(SYS_write, fd, bytes, count);
  struct iovec one = {(void *)bytes, count};
  return do_write(fd, &one, 1, -1);
}

ssize_t writev(int fd, const struct iovec *data, int count) {
  return known(fd) ? do_write(fd, data, count, -1) : syscall(SYS_writev, fd, data, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
  if (!known(fd)) return syscall(SYS_pwrite64, fd, bytes, count, at);
  struct iovec one = {(void *)bytes, count};
  return do_write(fd, &one, 1, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

ssize_t pwritev64(int fd, const struct iovec *data, int count, off_t at) {
  return known(fd) ? do_write(fd, data, count, at) : syscall(SYS_pwritev, fd, data, count, (long)at, 0L);
}
ssize_t pwritev(int fd, const struct iovec *data, int count, off_t at) { return pwritev64(fd, data, count, at); }

int ftruncate64(int fd, off_t size) {
  if (!known(fd)) return (int)syscall(SYS_ftruncate, fd, size);
  int error = fault(NAMING, 1);
  if (error) return failed(error);
  int done = (int)syscall(SYS_ftruncate, fd, size);
  int after = errno;
  if (done == 0) append(FTRUNCATE, 0, fd, size, 0, NULL, NULL, 0, 0);
  errno = after;
  return done;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int truncate64(const char *path, off_t size) {
  char *whole = inside(AT_FDCWD, path);
  pthread_mutex_lock(&names);
  int done = (int)syscall(SYS_truncate, path, size);
  int after = errno;
  if (whole && done == 0) append(TRUNCATE, 0, -1, size, 0, whole, NULL, 0, 0);
  pthread_mutex_unlock(&names);
  free(whole);
  errno = after;
  return done;
}
int truncate(const char *path, off_t size) { return truncate64(path, size); }

/* SQLite goes on without it; then there is one kind of growing less. */
int fallocate64(int fd, int mode, off_t at, off_t bytes) {
  return known(fd) ? failed(EOPNOTSUPP) : (int)syscall(SYS_fallocate, fd, mode, at, bytes);
}
int fallocate(int fd, int mode, off_t at, off_t bytes) { return fallocate64(fd, mode, at, bytes); }

HIDDEN int chosen(int fd) {
  if (!control || control->sync_in <= 0) return 0;
  const char *path = fds[fd], *end = (const char *)control->sync_path;
  size_t length = strlen(path), ending = strlen(end);
  if (length < ending || strcmp(path + length - ending, end) != 0) return 0;
  if (__atomic_sub_fetch(&control->sync_in, 1, __ATOMIC_RELAXED) != 0) return 0;
  __atomic_add_fetch(&control->faults, 1, __ATOMIC_RELAXED);
  return 1;
}

HIDDEN int do_sync(int fd, long call) {
  if (!known(fd)) return (int)syscall(call, fd);
  int64_t token = (int64_t)__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  append(SYNC_BEGIN, 0, fd, token, 0, NULL, NULL, 0, 0);
  int error = chosen(fd) ? EIO : fault(SYNCING, 1);
  int done = error ? failed(error) : (int)syscall(call, fd);
  int after = errno;
  append(SYNC_END, done == 0 ? 0 : after, fd, token, 0, NULL, NULL, 0, 0);
  errno = after;
  return done;
}

int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

/* -- names ---------------------------------------------------------------------- */

/* A call on one or two names that was made under the lock. */
#define NAMED(kind, from_at, from, to_at, to, a, call) \
  char *whole = inside(from_at, from), *other = inside(to_at, to); \
  if (!whole && !other) return (int)(call); \
  int error = fault(NAMING, 3); \
  if (error) { \
    free(whole); \
    free(other); \
    return failed(error); \
  } \
  pthread_mutex_lock(&names); \
  int done = (int)(call); \
  int after = errno; \
  if (done == 0) { \
    struct iovec second = {other, other ? strlen(other) : 0}; \
    append(kind, 0, -1, a, 0, whole, &second, 1, second.iov_len); \
  } \
  pthread_mutex_unlock(&names); \
  free(whole); \
  free(other); \
  errno = after; \
  return done;

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  NAMED(LINK, from_at, from, to_at, to, 0, syscall(SYS_linkat, from_at, from, to_at, to, flags))
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  NAMED(RENAME, from_at, from, to_at, to, 0, syscall(SYS_renameat2, from_at, from, to_at, to, flags))
}
int renameat(int from_at, const char *from, int to_at, const char *to) { return renameat2(from_at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
  NAMED(flags & AT_REMOVEDIR ? RMDIR : UNLINK, at, path, at, NULL, 0, syscall(SYS_unlinkat, at, path, flags))
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
  NAMED(MKDIR, at, path, at, NULL, mode, syscall(SYS_mkdirat, at, path, mode))
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
