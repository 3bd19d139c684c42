/* The C library's allocators, preloaded in its place: one allocation can be made to fail, and the bytes
 * in use are counted.
 *
 * Python's own memory comes from here too where PYTHONMALLOC is malloc, and that of NumPy's arrays where
 * `array_handler` is entered. Starting a thread counts as an allocation: it needs memory for a stack. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);
extern int PyGILState_Check(void);

static atomic_long until = -1, bytes; /* below 0: the allocation that was to fail is past, or none is */

/* Let the allocation after the next n fail; negative: none. Returns whether one did since the last call. */
int fail_after(long n)
{
    static long before = -1;
    const int failed = before >= 0 && atomic_load(&until) < 0;
    atomic_store(&until, before = n);
    return failed;
}

long bytes_in_use(void)
{
    return atomic_load(&bytes);
}

static int is_next(void)
{
    return atomic_load(&until) >= 0 && atomic_fetch_sub(&until, 1) == 0;
}

/* None without the interpreter's lock, where NumPy does not survive it; fastnn allocates under the lock. */
static int fails(void)
{
    return atomic_load(&until) >= 0 && PyGILState_Check() && is_next();
}

static void *counted(void *block)
{
    if (!block) errno = ENOMEM;
    atomic_fetch_add(&bytes, (long)malloc_usable_size(block));
    return block;
}

void *malloc(size_t size)
{
    return counted(fails() ? NULL : __libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return counted(fails() ? NULL : __libc_calloc(count, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return counted(fails() ? NULL : __libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
    return aligned_alloc(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    void *found = aligned_alloc(alignment, size);
    if (!found) return ENOMEM;
    *block = found;
    return 0;
}

void free(void *block)
{
    atomic_fetch_sub(&bytes, (long)malloc_usable_size(block));
    __libc_free(block);
}

void *realloc(void *block, size_t size)
{
    if (!block) return malloc(size);
    if (size && fails()) return counted(NULL);
    const long before = (long)malloc_usable_size(block);
    void *moved = __libc_realloc(block, size);
    if (moved || !size) atomic_fetch_sub(&bytes, before);
    return counted(moved);
}

/* The blocks that the kernels have from Python, whose allocators they call from a library of their own. */
static atomic_long kernel_blocks;

long kernel_blocks_in_use(void)
{
    return atomic_load(&kernel_blocks);
}

static void count(int change, const void *caller)
{
    Dl_info found;
    if (dladdr(caller, &found) && strstr(found.dli_fname, "/_kernels."))
        atomic_fetch_add(&kernel_blocks, change);
}

void *PyMem_RawMalloc(size_t size)
{
    void *block = malloc(size ? size : 1);
    count(block != NULL, __builtin_return_address(0));
    return block;
}

void *PyMem_RawCalloc(size_t count_of, size_t size)
{
    void *block = count_of && size ? calloc(count_of, size) : calloc(1, 1);
    count(block != NULL, __builtin_return_address(0));
    return block;
}

void *PyMem_RawRealloc(void *block, size_t size)
{
    void *moved = realloc(block, size ? size : 1);
    count(!block && moved, __builtin_return_address(0));
    return moved;
}

void PyMem_RawFree(void *block)
{
    count(block ? -1 : 0, __builtin_return_address(0));
    free(block);
}

typedef int start(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    static _Atomic(start *) real;
    if (!real) real = (start *)(intptr_t)dlsym(RTLD_NEXT, "pthread_create");
    return is_next() ? EAGAIN : real(thread, attributes, run, argument);
}

static void *array_malloc(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void *array_calloc(void *context, size_t count, size_t size)
{
    (void)context;
    return calloc(count, size);
}

static void *array_realloc(void *context, void *block, size_t size)
{
    (void)context;
    return realloc(block, size);
}

static void array_free(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

/* A PyDataMem_Handler; NumPy's own keeps small blocks for the next array. */
const char array_handler_name[] = "mem_handler";
struct {
    char name[127];
    uint8_t version;
    struct {
        void *context;
        void *(*malloc)(void *, size_t);
        void *(*calloc)(void *, size_t, size_t);
        void *(*realloc)(void *, void *, size_t);
        void (*free)(void *, void *, size_t);
    } allocator;
} array_handler = {"faults", 1, {NULL, array_malloc, array_calloc, array_realloc, array_free}};
