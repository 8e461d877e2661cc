/*
 * A sick disk under one data directory, for a process that was started with LD_PRELOAD.
 *
 * A story compiles this with `cc -shared -fPIC` and says what is wrong with the disk in a file, one
 * order at a time; see tests/src/faults.rs. Calls on files outside of the directory, and reads, are
 * passed on untouched.
 *
 * TIDINGS_FAULTS_DIR    the data directory
 * TIDINGS_FAULTS_ORDER  the file with the order: FAULT FILE TIMES MS SERIAL. FILE is a name in the
 *                       directory, or * for all; TIMES is how often the fault strikes, -1 for ever;
 *                       a new order has a new SERIAL. Each strike is told in the file ORDER.struck.
 * TIDINGS_FAULTS_DISK   where databases are kept as the disk has them: what a power failure leaves.
 *                       A page gets there by a sync that follows its write and does not fail.
 *
 * sync-kept    the sync fails although all of it is on disk
 * sync-lost    the sync fails and the disk has nothing of it. The file still reads as written and
 *              its pages pass for clean, so that no later sync writes them: Linux, ext4 or XFS
 * sync-undone  as sync-lost, but the file reads as the disk has it: Linux, btrfs
 * read-only    nothing can be written, as after errors=remount-ro
 * slow         each sync takes MS longer, or until there is another order
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name, ...) \
    static int (*real)(__VA_ARGS__); \
    if (!real) real = (int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
#define REAL_SIZED(name, ...) \
    static ssize_t (*real)(__VA_ARGS__); \
    if (!real) real = (ssize_t (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

enum { PAGE = 4096, PAGES = 16384, FILES = 4 };

struct order {
    char fault[16], file[64];
    long times, ms, serial;
};

/* A database, and which of its pages were written since its last sync. */
struct database {
    char name[64];
    unsigned char dirty[PAGES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct database databases[FILES];
static long struck_serial = -1, struck;

static ssize_t plain_pwrite(int fd, const void *bytes, size_t count, off64_t at) {
    REAL_SIZED(pwrite64, int, const void *, size_t, off64_t);
    return real(fd, bytes, count, at);
}

static int plain_ftruncate(int fd, off64_t length) {
    REAL(ftruncate64, int, off64_t);
    return real(fd, length);
}

static int plain_open(const char *path, int flags, mode_t mode) {
    REAL(open64, const char *, int, ...);
    return real(path, flags, mode);
}

/* The name in the data directory that `path` stands for, or NULL. The directory itself is ".". */
static const char *name_of(const char *path) {
    const char *dir = getenv("TIDINGS_FAULTS_DIR");
    size_t length = dir ? strlen(dir) : 0;
    if (!length || strncmp(path, dir, length)) return NULL;
    if (!path[length]) return ".";
    return path[length] == '/' ? path + length + 1 : NULL;
}

/* As name_of, of an open file; the name is copied to `name`. */
static const char *name_of_fd(int fd, char name[64]) {
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    const char *found = name_of(path);
    if (!found) return NULL;
    snprintf(name, 64, "%s", found);
    return name;
}

static struct order ordered(void) {
    struct order order = {.fault = "well"};
    const char *path = getenv("TIDINGS_FAULTS_ORDER");
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) return order;
    if (fscanf(file, "%15s %63s %ld %ld %ld", order.fault, order.file, &order.times, &order.ms,
               &order.serial) != 5)
        strcpy(order.fault, "well");
    fclose(file);
    return order;
}

static void tell(const char *call, const char *name) {
    char path[PATH_MAX], line[128];
    snprintf(path, sizeof path, "%s.struck", getenv("TIDINGS_FAULTS_ORDER"));
    int fd = plain_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    int length = snprintf(line, sizeof line, "%s %s\n", call, name);
    REAL_SIZED(write, int, const void *, size_t);
    if (real(fd, line, (size_t)length) < 0) perror("disk_faults");
    close(fd);
}

/* Whether `order` strikes this call on `name`; each time that it does is counted. */
static int strikes(const struct order *order, const char *call, const char *name) {
    if (strcmp(order->file, "*") && strcmp(order->file, name)) return 0;
    pthread_mutex_lock(&lock);
    if (order->serial != struck_serial) {
        struck_serial = order->serial;
        struck = 0;
    }
    int is_due = order->times < 0 || struck < order->times;
    if (is_due) {
        struck++;
        tell(call, name);
    }
    pthread_mutex_unlock(&lock);
    return is_due;
}

static int is_read_only(const char *call, const char *name) {
    struct order order = ordered();
    if (!name || strcmp(order.fault, "read-only") || !strikes(&order, call, name)) return 0;
    errno = EROFS;
    return 1;
}

static int open_shadow(const char *name, int flags) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", getenv("TIDINGS_FAULTS_DISK"), name);
    return plain_open(path, flags | O_CLOEXEC, 0600);
}

/* Copies pages, all or those that are dirty, and the length. */
static void copy(int from, int to, const unsigned char *dirty) {
    char page[PAGE];
    struct stat64 stat;
    if (fstat64(from, &stat) || plain_ftruncate(to, stat.st_size)) return perror("disk_faults");
    for (long n = 0; n < PAGES && n * PAGE < stat.st_size; n++) {
        if (dirty && !dirty[n]) continue;
        ssize_t length = pread64(from, page, PAGE, n * PAGE);
        if (length > 0 && plain_pwrite(to, page, (size_t)length, n * PAGE) != length)
            return perror("disk_faults");
    }
}

/* The database `name`, of which the disk has all that a run before this one wrote. */
static struct database *database(int fd, const char *name) {
    if (!getenv("TIDINGS_FAULTS_DISK") || !strstr(name, ".redb")) return NULL;
    for (int n = 0; n < FILES; n++) {
        struct database *found = &databases[n];
        if (!strcmp(found->name, name)) return found;
        if (found->name[0]) continue;
        snprintf(found->name, sizeof found->name, "%s", name);
        int shadow = open_shadow(name, O_RDWR | O_CREAT);
        copy(fd, shadow, NULL);
        close(shadow);
        return found;
    }
    return NULL;
}

static void soil(int fd, const char *name, off64_t at, size_t count) {
    pthread_mutex_lock(&lock);
    struct database *written = database(fd, name);
    for (off64_t n = at / PAGE; written && n < PAGES && n * PAGE < at + (off64_t)count; n++)
        written->dirty[n] = 1;
    pthread_mutex_unlock(&lock);
}

/* What becomes of the dirty pages; whatever that is, they pass for clean. */
static void settle(int fd, const char *name, const char *fault) {
    pthread_mutex_lock(&lock);
    struct database *synced = database(fd, name);
    if (synced) {
        int shadow = open_shadow(name, O_RDWR);
        if (!strcmp(fault, "sync-undone")) copy(shadow, fd, synced->dirty);
        else if (strcmp(fault, "sync-lost")) copy(fd, shadow, synced->dirty);
        close(shadow);
        memset(synced->dirty, 0, sizeof synced->dirty);
    }
    pthread_mutex_unlock(&lock);
}

static int sync_file(int fd, int (*real)(int), const char *call) {
    char name[64];
    if (!name_of_fd(fd, name)) return real(fd);
    if (is_read_only(call, name)) return -1;
    struct order order = ordered();
    int is_slow = !strcmp(order.fault, "slow");
    int fails = !strncmp(order.fault, "sync-", 5);
    if (!(is_slow || fails) || !strikes(&order, call, name)) order.fault[0] = 0;
    for (long ms = 0; order.fault[0] && is_slow && ms < order.ms; ms += 5) {
        usleep(5000);
        if (ordered().serial != order.serial) break;
    }
    int done = real(fd);
    if (done) return done;
    settle(fd, name, order.fault);
    if (!order.fault[0] || is_slow) return 0;
    errno = EIO;
    return -1;
}

int fsync(int fd) {
    REAL(fsync, int);
    return sync_file(fd, real, "fsync");
}

int fdatasync(int fd) {
    REAL(fdatasync, int);
    return sync_file(fd, real, "fdatasync");
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    char found[64];
    const char *name = name_of_fd(fd, found);
    if (is_read_only("pwrite", name)) return -1;
    if (name) soil(fd, name, at, count);
    return plain_pwrite(fd, bytes, count, at);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    char name[64];
    REAL_SIZED(write, int, const void *, size_t);
    if (fd > 2 && is_read_only("write", name_of_fd(fd, name))) return -1;
    return real(fd, bytes, count);
}

int ftruncate64(int fd, off64_t length) {
    char name[64];
    if (is_read_only("ftruncate", name_of_fd(fd, name))) return -1;
    return plain_ftruncate(fd, length);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT;
    if (writes && is_read_only("open", name_of(path))) return -1;
    return plain_open(path, flags, mode);
}

int rename(const char *from, const char *to) {
    REAL(rename, const char *, const char *);
    if (is_read_only("rename", name_of(to))) return -1;
    return real(from, to);
}

int unlink(const char *path) {
    REAL(unlink, const char *);
    if (is_read_only("unlink", name_of(path))) return -1;
    return real(path);
}
