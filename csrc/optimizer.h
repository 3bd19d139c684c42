/* The update rules of the optimizers (Keras 3's formulas): one pass over the variable w, its gradient g
 * and its slots, element by element.
 *
 * An element takes a few multiply-adds, and at most a root and a division, for which two to four arrays are
 * read and up to three written: where those do not fit in the caches, a rule is bound by memory, and what
 * counts is that each array goes by once. So there is one loop per rule, and no rule is built from others.
 * All arrays are read in order, as the machine foresees; they are distinct, which INDEPENDENT tells the
 * compiler, so that it makes vectors of the loop. What a slot becomes is used from its register: read back,
 * a store of 64 bytes over two cache lines would be waited for.
 *
 * Numbers that are the same for all elements (the rate with its corrections, 1 - decay) come ready or are
 * computed before the loop, in double, and rounded once. Where a rule decays a slot or adds to it, it does so
 * by a fused multiply-add. Roots and divisions are those of the machine, rounded correctly, so that they
 * give the same bits on every level that fuses.
 *
 * Units of work are elements: any cut between threads gives the same bits.
 */

KERNEL(sgd)
{
    const fn_update_args *u = args;
    T *w = u->w;
    const T *g = u->g, rate = (T)*u->learning_rate;
    INDEPENDENT for (size_t i = begin; i < end; i++) w[i] = FMA(-rate, g[i], w[i]);
}

KERNEL(momentum)
{
    const fn_update_args *u = args;
    T *w = u->w, *velocity = u->slot[0];
    const T *g = u->g, rate = (T)*u->learning_rate, momentum = (T)u->decay[0];
    if (u->nesterov)
        INDEPENDENT for (size_t i = begin; i < end; i++) {
            const T step = rate * g[i], v = FMA(momentum, velocity[i], -step);
            velocity[i] = v;
            w[i] += FMA(momentum, v, -step);
        }
    else
        INDEPENDENT for (size_t i = begin; i < end; i++) {
            const T v = FMA(momentum, velocity[i], -(rate * g[i]));
            velocity[i] = v;
            w[i] += v;
        }
}

KERNEL(adagrad)
{
    const fn_update_args *u = args;
    T *w = u->w, *accumulator = u->slot[0];
    const T *g = u->g, rate = (T)*u->learning_rate, epsilon = (T)u->epsilon;
    INDEPENDENT for (size_t i = begin; i < end; i++) {
        const T gradient = g[i], sum = FMA(gradient, gradient, accumulator[i]);
        accumulator[i] = sum;
        w[i] -= rate * gradient / SQRT(sum + epsilon);
    }
}

KERNEL(rmsprop)
{
    const fn_update_args *u = args;
    T *w = u->w, *velocity = u->slot[0];
    const T *g = u->g, rate = (T)*u->learning_rate, epsilon = (T)u->epsilon;
    const T rho = (T)u->decay[0], rest = (T)(1 - u->decay[0]);
    INDEPENDENT for (size_t i = begin; i < end; i++) {
        const T gradient = g[i], v = FMA(rho, velocity[i], rest * (gradient * gradient));
        velocity[i] = v;
        w[i] -= rate * gradient / SQRT(v + epsilon);
    }
}

KERNEL(adam)
{
    const fn_update_args *u = args;
    T *w = u->w, *momentum = u->slot[0], *velocity = u->slot[1];
    const T *g = u->g, alpha = (T)*u->learning_rate, epsilon = (T)u->epsilon;
    const T rest_1 = (T)(1 - u->decay[0]), rest_2 = (T)(1 - u->decay[1]);
    INDEPENDENT for (size_t i = begin; i < end; i++) {
        const T gradient = g[i], m = FMA(gradient - momentum[i], rest_1, momentum[i]);
        const T v = FMA(gradient * gradient - velocity[i], rest_2, velocity[i]);
        momentum[i] = m;
        velocity[i] = v;
        w[i] -= alpha * m / (SQRT(v) + epsilon);
    }
}
