"""Threads: the same bits for any number of them, forks, an idle process, the limit."""

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

import fastnn
from fastnn import _kernels, processors

M, N = 1000, 301  # so large that every kernel is cut into several chunks
PRODUCTS = [(200, 300, 150), (33, 40, 500), (1000, 10, 300), (10, 1000, 300), (1, 700, 784)]


@pytest.fixture(autouse=True)
def _limit():
    with fastnn.threads(fastnn.get_num_threads()):
        yield


def updated(kernel, arrays, g, *numbers):
    """What the update makes of copies of a variable and its slots."""
    arrays = [a.copy() for a in arrays]
    kernel(*arrays, g, *numbers)
    return arrays


def picked(x):
    out = np.empty_like(x)
    _kernels.pick(x, np.arange(len(x))[::-1].copy(), out)
    return out


def picked_rows(x):
    rows = _kernels.compress(x)
    out = rows.buffer(len(x))
    _kernels.pick_rows(rows, np.arange(len(x))[::-1].copy(), out)
    return out.dense()


def filled_rows(x):
    rows = _kernels.empty_rows(*x.shape, x.dtype)
    _kernels.fill_rows(np.where(x > 0, x, 0), rows)
    return rows.dense()


def cross_entropy(x, labels, dloss):
    dlogits = np.empty_like(x)
    return [_kernels.softmax_cross_entropy(x, labels, dlogits, dloss), dlogits]


def products(rng, dtype):
    """All four products of every shape, alone and with bias and relu."""
    for m, n, k in PRODUCTS:
        a, b, bias = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n), n))
        for more in ({}, {"bias": bias, "relu": True}):
            for left in (a, a.T.copy()):
                for right in (b, b.T.copy()):
                    transposed = (left.shape != a.shape, right.shape != b.shape)
                    yield _kernels.matmul(left, right, *transposed, **more)


def compressed(x, y):
    """The products of a matrix of which three quarters are zeros, and the matrix again."""
    rows = _kernels.compress(np.where((x > 0) & (y > 0), x, 0))
    yield rows.dense()
    for n in (7, N):
        yield _kernels.matmul(rows, np.outer(y[0], x[0, :n]))
        yield _kernels.matmul(rows, y[:, :n], transpose_a=True)


def chains(x, y):
    """Of matrices, and with a row, a column and a number; cuts come anywhere in a row."""
    steps = [("multiply", 0, 1), ("add", 4, 2), ("tanh", 5), ("subtract", 6, 3)]
    for row, column in ((y, y), (y[0], y[:, :1].copy())):
        yield _kernels.chain(steps, [x, row, column, y[:1, :1].copy()], np.empty_like(x))
    yield _kernels.chain([("less", 0, 1)], [x, y[0]], np.empty(x.shape, bool))


def as_labels(x):
    """Of good ones, and the message about the first of many that are bad."""
    places = np.arange(x.size) % 7
    yield _kernels.labels(places.astype(x.dtype), 7, np.empty_like(places))
    places[[70_000, 299_000]] = 7
    with pytest.raises(ValueError, match=r"^x\[70000\] is 7") as error:
        _kernels.labels(places, 7, np.empty_like(places))
    yield np.array(str(error.value))


# Each kernel on matrices x and y of random numbers.
KERNELS = {
    "relu": lambda x, y: [_kernels.relu(x)],
    "relu_grad": lambda x, y: [_kernels.relu_grad(x, y)],
    "exp": lambda x, y: [_kernels.exp(x)],
    "log": lambda x, y: [_kernels.log(np.abs(x))],
    "tanh": lambda x, y: [_kernels.tanh(x)],
    "tanh_grad": lambda x, y: [_kernels.tanh_grad(x, y)],
    "sigmoid": lambda x, y: [_kernels.sigmoid(x)],
    "sigmoid_grad": lambda x, y: [_kernels.sigmoid_grad(x, y)],
    "dropout": lambda x, y: [_kernels.dropout(x, 0.3, 5, 6)],
    "random_order": lambda x, y: [_kernels.random_order(x.size, 7)],
    "gather": lambda x, y: [_kernels.gather(y, np.arange(M)[::-1].copy(), np.empty_like(x), 0.5)],
    "add": lambda x, y: [_kernels.add(x, y), _kernels.add(x, y[0])],
    "chain": chains,
    "sum_rows": lambda x, y: [_kernels.sum_rows(x), _kernels.sum_rows(x.reshape(2, -1))],
    "max_rows": lambda x, y: [_kernels.max_rows(x)],
    "min_rows": lambda x, y: [_kernels.min_rows(x)],
    "argmax_rows": lambda x, y: [_kernels.argmax_rows(x)],
    "hits": lambda x, y: [_kernels.hits(x, (np.arange(M) % N).astype(x.dtype))],
    "labels": lambda x, y: as_labels(x),
    "add_grad": lambda x, y: [_kernels.add_grad(x), _kernels.add_grad(x.T)],
    "matmul": lambda x, y: products(np.random.default_rng(0), x.dtype),
    "compress": compressed,
    "softmax": lambda x, y: [_kernels.softmax(x)],
    "softmax_grad": lambda x, y: [_kernels.softmax_grad(x, y)],
    "softmax_cross_entropy": lambda x, y: cross_entropy(x, np.arange(M) % N, y[:, 0]),
    "pick": lambda x, y: [picked(x)],
    "pick_rows": lambda x, y: [picked_rows(x)],
    "fill_rows": lambda x, y: [filled_rows(x)],
    "sgd": lambda x, y: updated(_kernels.sgd, [x], y, 0.1),
    "momentum": lambda x, y: updated(_kernels.momentum, [x, y], y, 0.1, 0.9, True),
    "adagrad": lambda x, y: updated(_kernels.adagrad, [x, y * y], y, 0.1, 1e-7),
    "rmsprop": lambda x, y: updated(_kernels.rmsprop, [x, y * y], y, 0.1, 0.9, 1e-7),
    "adam": lambda x, y: updated(_kernels.adam, [x, y, y * y], y, 0.1, 0.9, 0.99, 1e-7),
}


def test_every_kernel_is_here():
    levels, threads = {"isa", "isas", "set_isa"}, {"threads", "set_threads", "processors"}
    compressed = {"CompressedRows", "from_csr", "empty_rows"}
    chains = {"CHAIN_OPS", "CHAIN_STEPS", "CHAIN_INPUTS", "chain_fits"}
    programs = {"Program", "NotRecorded", "Cursor", "settings", "read_next", "write_next"}
    programs |= {"copy_arrays", "fetch_next", "Scope", "Member", "Limit"}
    constants = {"FEW_ROWS", "LINE", "LONGEST_ACCUMULATED"}
    of_one_number = {"count_up", "accumulate", "all_finite"}
    calls = {"Op", "Primitive", "Update", "Call", "TapeBase", "described", "gradient_key"}
    operands = {"alike", "broadcast_together", "arrays_of", "signature"}
    tensors = {"TensorBase", "VariableBase", "ReadFrom", "Shared", "Writing", "wrap", "copies"}
    tensors |= {"set_tensor_type", "all_about_to_change"}
    others = levels | threads | compressed | chains | programs | of_one_number | constants
    others |= calls | operands | tensors | {"np", "os"}
    assert KERNELS.keys() == {n for n in vars(_kernels) if n[0] != "_"} - others


@pytest.mark.parametrize("name", KERNELS)
def test_the_bits_do_not_depend_on_the_number_of_threads(name, dtype, isa, rng):
    x, y = rng.standard_normal((2, M, N)).astype(dtype)
    with fastnn.threads(1):
        expected = [r.tobytes() for r in KERNELS[name](x, y)]
    for n in (2, 3, 7):
        with fastnn.threads(n):
            assert [r.tobytes() for r in KERNELS[name](x, y)] == expected


def test_calls_from_many_threads(rng):
    inputs = rng.standard_normal((8, 200, 300))
    with fastnn.threads(3), ThreadPoolExecutor(8) as callers:

        def products_of(x):
            return [_kernels.matmul(x, x, transpose_b=True) for _ in range(20)]

        for x, results in zip(inputs, callers.map(products_of, inputs), strict=True):
            for result in results:
                np.testing.assert_allclose(result, x @ x.T, rtol=0, atol=1e-11)


SETUP = """
import ctypes, multiprocessing, os, threading, time
import numpy as np
import fastnn
from fastnn import _kernels

x = np.linspace(-3, 3, 500_000)

def alive():
    return len(os.listdir("/proc/self/task"))
"""


def run(code, first="os", **environment):
    """What a new Python prints that imports `first`, does what SETUP says, and runs `code`."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import {first}\n{SETUP}\n{dedent(code)}"],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "FASTNN_NUM_THREADS": "2", **environment},
        cwd=Path(fastnn.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.stdout.strip() or result.stderr.strip().splitlines()[-1]


proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@proc
def test_threads_start_with_the_first_work_that_is_large_enough():
    code = """
        counts = [alive()]
        for n, size in ((2, 1000), (1, 500_000), (2, 500_000), (4, 500_000), (2, 500_000)):
            fastnn.set_num_threads(n)
            _kernels.exp(x[:size])
            counts.append(alive())
        print(*counts)
    """
    assert run(code) == "1 1 1 2 4 4"


def test_an_idle_process_uses_no_processor():
    code = """
        _kernels.exp(x)
        time.sleep(0.05)
        before = time.process_time()
        time.sleep(0.5)
        print(time.process_time() - before)
    """
    assert float(run(code)) < 0.01


@fork
@proc
def test_forks():
    """After the pool was at work, a child and its child compute the same with their own workers."""
    code = """
        expected = _kernels.exp(x).tobytes()
        def works(generations):
            child = os.fork()
            if child == 0:
                right = alive() == 1 and _kernels.exp(x).tobytes() == expected and alive() == 2
                os._exit(not (right and (generations == 1 or works(generations - 1))))
            return os.waitpid(child, 0)[1] == 0
        print(works(2), _kernels.exp(x).tobytes() == expected)
    """
    assert run(code) == "True True"


@fork
def test_forks_while_other_threads_work():
    code = """
        expected = _kernels.exp(x).tobytes()
        stop = False
        def work():
            while not stop:
                _kernels.exp(x)
        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        statuses = set()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(_kernels.exp(x).tobytes() != expected)
            statuses.add(os.waitpid(child, 0)[1])
        stop = True
        print(statuses)
    """
    assert run(code) == "{0}"


@fork
def test_multiprocessing():
    code = """
        expected = _kernels.exp(x)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.map(_kernels.exp, [x] * 4)
        print(all(np.array_equal(r, expected) for r in results))
    """
    assert run(code) == "True"


@pytest.mark.parametrize("n", [1, 3, 256, np.int8(2), np.uint64(5)])
def test_the_limit(n):
    fastnn.set_num_threads(n)
    assert fastnn.get_num_threads() == n


@pytest.mark.parametrize(
    ("n", "error"),
    [(0, ValueError), (-1, ValueError), (257, ValueError), (2**70, ValueError)]
    + [(n, TypeError) for n in (True, 2.0, "2", None, np.float32(1))],
)
def test_a_limit_that_is_none(n, error):
    before = fastnn.get_num_threads()
    with pytest.raises(error, match=r"^n .* give a number of threads from 1, the caller's alone, "):
        fastnn.set_num_threads(n)
    with pytest.raises(error, match=r"^n "), fastnn.threads(n):
        pass
    assert fastnn.get_num_threads() == before


def test_a_scope_restores_the_limit_from_before():
    fastnn.set_num_threads(5)
    with fastnn.threads(3):
        with fastnn.threads(2):
            assert fastnn.get_num_threads() == 2
        assert fastnn.get_num_threads() == 3
    assert fastnn.get_num_threads() == 5


def test_a_scope_around_a_function_and_within_itself():
    scope, before = fastnn.threads(3), fastnn.get_num_threads()

    @scope
    def limit():
        return fastnn.get_num_threads()

    with scope:
        assert limit() == 3
        fastnn.set_num_threads(2)
        assert limit() == 3
        assert fastnn.get_num_threads() == 2
    assert fastnn.get_num_threads() == before


def test_a_scope_that_ends_in_an_error_restores_the_limit_too():
    before = fastnn.get_num_threads()
    with pytest.raises(KeyError), fastnn.threads(before + 1):
        {}["missing"]
    assert fastnn.get_num_threads() == before


LIMIT = "print(fastnn.get_num_threads())"


def test_the_environment_sets_the_limit():
    assert run(LIMIT, FASTNN_NUM_THREADS="3") == "3"


def test_without_the_environment_all_processors_that_the_process_may_use():
    assert run(LIMIT, FASTNN_NUM_THREADS="") == str(processors.available())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_affinity_limits():
    pin = "os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); "
    assert run(pin + LIMIT, FASTNN_NUM_THREADS="") == "1"


@pytest.mark.parametrize("value", ["0", "257", "-1", "1.5", "two"])
def test_a_bad_limit_in_the_environment(value):
    message = run(LIMIT, FASTNN_NUM_THREADS=value)
    assert f"environment variable FASTNN_NUM_THREADS is '{value}'; set it to an integer" in message


@pytest.mark.parametrize("first", ["threadpoolctl", "fastnn"])
def test_threadpoolctl(first, tmp_path):
    """It lists and limits fastnn, imported before or after it, and no _kernels of others."""
    pytest.importorskip("threadpoolctl")
    other = shutil.copy(sys.modules["numpy.random._common"].__file__, tmp_path / "_kernels.so")
    code = f"""
        import threadpoolctl
        ctypes.CDLL({str(other)!r})
        infos = threadpoolctl.threadpool_info()
        mine = [i["num_threads"] for i in infos if i["internal_api"] == "fastnn"]
        with threadpoolctl.threadpool_limits(limits=1):
            limited = fastnn.get_num_threads()
        print(mine, limited, fastnn.get_num_threads())
    """
    assert run(code, first, FASTNN_NUM_THREADS="5") == "[5] 1 5"


@pytest.mark.parametrize("threads_before", [1, 2])
def test_denormals_are_kept_on_all_threads_whatever_the_caller_does_with_its_own(threads_before):
    """As torch.set_flush_denormal(True) tells the processor, in the thread that calls it, before or
    after it has started another one.
    """
    code = f"""
        fastnn.set_num_threads(1)
        x = np.full((600, 600), 1e-22, np.float32)
        one = x[:1, :1].copy()
        expected = [_kernels.matmul(a, a).tobytes() for a in (x, one)]
        fastnn.set_num_threads({threads_before})
        _kernels.matmul(x, x)
        environment = ctypes.create_string_buffer(64)
        libm = ctypes.CDLL("libm.so.6")
        libm.fegetenv(environment)
        mxcsr = int.from_bytes(environment[28:32], "little")
        environment[28:32] = (mxcsr | 0x8040).to_bytes(4, "little")
        libm.fesetenv(environment)
        flushed = float(np.float32(1e-22) * x[0, :1][0])
        found = []
        for threads in (1, 2):
            fastnn.set_num_threads(threads)
            found.append([_kernels.matmul(a, a).tobytes() for a in (x, one)] == expected)
        program = _kernels.Program()
        out = np.zeros_like(x)
        program.record(lambda: _kernels.matmul(x, x, out=out))
        program.run()
        print(flushed, *found, out.tobytes() == expected[0])
    """
    if platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        pytest.skip("the place of the control word is that of glibc on x86-64")
    assert run(code) == "0.0 True True True"


@proc
def test_faults_of_the_pool_are_not_hidden_from_faulthandler():
    code = """
        import pathlib, re, signal, time
        fastnn.set_num_threads(3)
        _kernels.relu(np.ones(10**6))
        names = "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL"
        faults = sum(1 << getattr(signal, name) - 1 for name in names)
        until = time.monotonic() + 10
        while True:  # the C library lets threads begin with all signals blocked
            threads = [t.read_text() for t in pathlib.Path("/proc/self/task").glob("*/status")]
            blocked = [int(re.search(r"SigBlk:\\s*(\\w+)", text)[1], 16) for text in threads]
            if not any(b & faults for b in blocked) or time.monotonic() > until:
                break
            time.sleep(0.01)
        print(any(b & faults for b in blocked), sum(b != 0 for b in blocked))
    """
    assert run(code) == "False 2"
