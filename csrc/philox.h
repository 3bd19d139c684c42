/* dropout and random orders, and the random numbers that they are made of: Philox4x32 with ten rounds (Salmon,
 * Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011). It is a function, not a
 * sequence: from a key of 64 bits and a counter of 128 it makes four words of 32 bits each. So every element
 * has words of its own, whichever thread asks for them and in which order.
 *
 * The upper half of the counter is the caller's (a step, a layer), the lower one numbers the elements:
 * element i = 64 g + 16 w + l takes word w of counter 16 g + l. With sixteen counters at a time, words come
 * out in the order of the elements whatever the width of the vectors.
 *
 * A round multiplies two words to 64 bits and mixes the halves in. Words therefore live in 64-bit lanes,
 * where one multiplication gives both halves in place; what is left above a word is ignored by the next
 * multiplication, and cut off at the end, when lanes of even and of odd counters are joined.
 */
#undef PAIRS
#define PAIRS (VECTOR_BYTES / 8) /* of an even and an odd counter */

typedef uint64_t NAME(lanes) __attribute__((vector_size(VECTOR_BYTES)));

INLINE void NAME(philox)(NAME(lanes) c[4], uint32_t key_0, uint32_t key_1)
{
    const NAME(lanes) zero = {0};
    UNROLL for (int round = 0; round < 10; round++) {
        const NAME(lanes) p = MULTIPLY_WORDS(c[0], zero + 0xd2511f53u);
        const NAME(lanes) q = MULTIPLY_WORDS(c[2], zero + 0xcd9e8d57u);
        c[0] = (q >> 32) ^ c[1] ^ key_0;
        c[1] = q;
        c[2] = (p >> 32) ^ c[3] ^ key_1;
        c[3] = p;
        key_0 += 0x9e3779b9u;
        key_1 += 0xbb67ae85u;
    }
}

/* The words of the elements from 64 * group on. */
INLINE void NAME(random_words)(uint32_t words[4 * LANES], uint64_t group, uint64_t key, uint64_t counter)
{
    const NAME(lanes) zero = {0};
    for (uint64_t l = 0; l < LANES; l += 2 * PAIRS) {
        NAME(lanes) count, odd[4];
        UNROLL for (uint64_t pair = 0; pair < PAIRS; pair++) count[pair] = group * LANES + l + 2 * pair;
        NAME(lanes) even[4] = {count, count >> 32, zero + counter, zero + (counter >> 32)};
        UNROLL for (int w = 0; w < 4; w++) odd[w] = even[w];
        odd[0] += 1;
        NAME(philox)(even, (uint32_t)key, (uint32_t)(key >> 32));
        NAME(philox)(odd, (uint32_t)key, (uint32_t)(key >> 32));
        UNROLL for (int w = 0; w < 4; w++) {
            const NAME(lanes) joined = (even[w] & 0xffffffffu) | (odd[w] << 32);
            memcpy(words + w * LANES + l, &joined, sizeof joined);
        }
    }
}

/* Units are elements; `begin` is a multiple of 64. Elements are chosen, not multiplied by 0 and 1: a NaN
 * that is dropped is gone. */
KERNEL(dropout)
{
    const fn_dropout_args *g = args;
    const T scale = (T)g->scale;
    const uint32_t threshold = g->threshold;
    for (size_t i = begin; i < end; i += 4 * LANES) {
        const T *x = (const T *)g->x + i;
        T *y = (T *)g->y + i;
        uint32_t words[4 * LANES];
        NAME(random_words)(words, i / (4 * LANES), g->key, *g->counter);
        const size_t n = end - i < 4 * LANES ? end - i : 4 * LANES;
        INDEPENDENT for (size_t j = 0; j < n; j++) y[j] = words[j] >= threshold ? x[j] * scale : 0;
    }
}

/* The numbers below n in a random order: each takes the place of one before it, or its own, and that one comes
 * to the end (Fisher and Yates). Of 64 random bits the product with the number of places has the place in its
 * upper half: no place is more likely than another by more than n / 2^64. One unit; the same for both types. */
KERNEL(random_order)
{
    (void)begin;
    (void)end;
    const fn_order_args *g = args;
    enum { AT_ONCE = 2 * LANES };
    for (uint64_t start = 0; start < g->n; start += AT_ONCE) {
        uint64_t words[AT_ONCE];
        NAME(random_words)((uint32_t *)words, start / AT_ONCE, g->key, 0);
        const uint64_t stop = g->n - start < AT_ONCE ? g->n : start + AT_ONCE;
        for (uint64_t i = start; i < stop; i++) {
            const uint64_t place = (uint64_t)((unsigned __int128)words[i - start] * (i + 1) >> 64);
            g->order[i] = g->order[place];
            g->order[place] = (int64_t)i;
        }
    }
}
