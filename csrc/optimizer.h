/* The update rules of the optimizers (Keras 3's formulas): one pass over the variable w, its gradient g
 * and its slots. All are bound by memory. */

static void NAME(sgd)(void *w_, const void *g_, size_t n, double learning_rate)
{
    T *w = w_;
    const T *g = g_, lr = (T)learning_rate;
    INDEPENDENT for (size_t i = 0; i < n; i++) w[i] = FMA(-lr, g[i], w[i]);
}

static void NAME(momentum)(void *w_, void *velocity_, const void *g_, size_t n,
                           double learning_rate, double momentum_, int nesterov)
{
    T *w = w_, *velocity = velocity_;
    const T *g = g_, lr = (T)learning_rate, momentum = (T)momentum_;
    if (nesterov)
        INDEPENDENT for (size_t i = 0; i < n; i++) {
            const T step = lr * g[i];
            velocity[i] = FMA(momentum, velocity[i], -step);
            w[i] += FMA(momentum, velocity[i], -step);
        }
    else
        INDEPENDENT for (size_t i = 0; i < n; i++) {
            velocity[i] = FMA(momentum, velocity[i], -(lr * g[i]));
            w[i] += velocity[i];
        }
}

static void NAME(adagrad)(void *w_, void *accumulator_, const void *g_, size_t n,
                          double learning_rate, double epsilon_)
{
    T *w = w_, *accumulator = accumulator_;
    const T *g = g_, lr = (T)learning_rate, epsilon = (T)epsilon_;
    INDEPENDENT for (size_t i = 0; i < n; i++) {
        accumulator[i] = FMA(g[i], g[i], accumulator[i]);
        w[i] -= lr * g[i] / SQRT(accumulator[i] + epsilon);
    }
}

static void NAME(rmsprop)(void *w_, void *velocity_, const void *g_, size_t n, double learning_rate,
                          double rho_, double epsilon_)
{
    T *w = w_, *velocity = velocity_;
    const T *g = g_, lr = (T)learning_rate, rho = (T)rho_, rest = (T)(1 - rho_);
    const T epsilon = (T)epsilon_;
    INDEPENDENT for (size_t i = 0; i < n; i++) {
        velocity[i] = FMA(rho, velocity[i], rest * (g[i] * g[i]));
        w[i] -= lr * g[i] / SQRT(velocity[i] + epsilon);
    }
}

static void NAME(adam)(void *w_, void *momentum_, void *velocity_, const void *g_, size_t n,
                       double alpha_, double beta_1, double beta_2, double epsilon_)
{
    T *w = w_, *momentum = momentum_, *velocity = velocity_;
    const T *g = g_, alpha = (T)alpha_, epsilon = (T)epsilon_;
    const T rest_1 = (T)(1 - beta_1), rest_2 = (T)(1 - beta_2);
    INDEPENDENT for (size_t i = 0; i < n; i++) {
        momentum[i] = FMA(g[i] - momentum[i], rest_1, momentum[i]);
        velocity[i] = FMA(g[i] * g[i] - velocity[i], rest_2, velocity[i]);
        w[i] -= alpha * momentum[i] / (SQRT(velocity[i]) + epsilon);
    }
}
