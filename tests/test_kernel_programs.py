"""Programs at the door: what they record, and the small kernels that carry on from run to run."""

import os
import threading
import time
import warnings

import numpy as np
import pytest

from fastnn import _kernels


def recorded(*calls):
    program = _kernels.Program()
    for call in calls:
        assert program.record(call)
    return program


def test_a_program_repeats_its_calls_on_what_is_in_the_arrays(isa, rng):
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 4), (4, 3)))
    y, z = np.zeros((5, 3), np.float32), np.zeros((5, 3), np.float32)
    program = recorded(
        lambda: _kernels.matmul(x, w, out=y, relu=True), lambda: _kernels.exp(y, out=z)
    )
    assert len(program) == 2
    assert not y.any()  # nothing was done yet
    for _ in range(3):
        x[...] = rng.standard_normal(x.shape)
        assert program.run() == 1
        np.testing.assert_array_equal(z, _kernels.exp(_kernels.matmul(x, w, relu=True)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: _kernels.relu(np.ones(3)),  # a result of its own
        lambda: _kernels.relu(np.ones(6)[::2], np.ones(3)),  # a copy
        lambda: _kernels.compress(np.eye(3)),
        lambda: _kernels.copy_arrays([np.ones(3)], [np.zeros(3)]),
        lambda: _kernels.random_order(3, 1),
        lambda: _kernels.all_finite(np.ones(3)),
        lambda: _kernels.matmul(
            np.ones((1, 1000)), np.ones((1000, 1)), out=np.ones((1, 1)), accumulate=True
        ),
    ],
)
def test_what_takes_memory_of_its_own_is_not_recorded(call):
    count, program = np.zeros((), np.int64), _kernels.Program()
    assert not program.record(lambda: (_kernels.count_up(count), call()))
    assert len(program) == 0
    call()


def test_recordings_do_not_nest():
    first, second = _kernels.Program(), _kernels.Program()
    with pytest.raises(RuntimeError, match="recorded already"):
        first.record(lambda: second.record(lambda: None))
    assert second.record(lambda: None)


def test_an_interrupted_recording_leaves_nothing():
    count, program = np.zeros((), np.int64), recorded(lambda: None)

    def interrupted():
        _kernels.count_up(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program.record(interrupted)
    assert len(program) == 0
    _kernels.count_up(count)
    assert count == 1


def test_a_refused_recording_leaves_nothing():
    cursor, buffer = _kernels.Cursor(), np.empty(2)
    program = recorded(lambda: None)
    assert not program.record(
        lambda: (_kernels.read_next(cursor, buffer), _kernels.softmax(np.ones((2, 2))))
    )
    assert (len(program), program.run(3)) == (0, 3)


def test_others_compute_and_record_in_the_meantime():
    """A recording is its thread's alone; a forked child is not in the midst of one."""
    begun, end = threading.Event(), threading.Event()
    programs = []

    def record_slowly():
        count = np.zeros((), np.int64)
        programs.append(recorded(lambda: _kernels.count_up(count), begun.set, lambda: end.wait(30)))

    thread = threading.Thread(target=record_slowly)
    thread.start()
    assert begun.wait(30)
    np.testing.assert_array_equal(_kernels.relu(np.array([-1.0, 1.0])), [0, 1])
    y = np.zeros(2)
    assert len(recorded(lambda: _kernels.relu(np.ones(2), out=y))) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks with threads
        child = os.fork()
    if child == 0:
        os._exit(0 if len(recorded(lambda: _kernels.relu(y, out=y))) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    end.set()
    thread.join()
    assert [len(program) for program in programs] == [1]


def test_python_runs_on_while_a_program_does():
    """Without the interpreter's lock: held, it would keep this thread from its first pause."""
    x = np.ones((128, 128), np.float32)
    out = np.zeros_like(x)
    program = recorded(lambda: _kernels.matmul(x, x, out=out))
    thread = threading.Thread(target=program.run, args=(2**40, 0.3))
    thread.start()
    pauses = 0
    while thread.is_alive():
        time.sleep(0.001)
        pauses += 1
    assert pauses > 20


def test_cursors_and_sums_go_on():
    data = np.arange(12, dtype=np.int64)
    three, total, count = np.zeros(3, np.int64), np.zeros(()), np.zeros((), np.int64)
    value = np.full((), 0.5, np.float32)
    copies = np.zeros(12, np.int64)
    source, sink = _kernels.Cursor(), _kernels.Cursor()
    source.move_to(data)
    sink.move_to(copies)
    program = recorded(
        lambda: _kernels.read_next(source, three),
        lambda: _kernels.write_next(three, sink),
        lambda: _kernels.accumulate(total, value, 3.0),
        lambda: _kernels.count_up(count),
    )
    assert program.run(4) == 4
    np.testing.assert_array_equal(copies, data)
    np.testing.assert_array_equal(three, [9, 10, 11])
    assert (float(total), int(count)) == (6.0, 4)
    source.move_to(data[2:])
    _kernels.read_next(source, three)
    np.testing.assert_array_equal(three, [2, 3, 4])
    source.move_to(data[10:])
    with pytest.raises(ValueError, match="bytes are left behind the cursor"):
        _kernels.read_next(source, three)
    source.move_to(data[4:])
    sink.move_to(copies)
    with pytest.raises(ValueError, match=r"64 bytes are left .* fewer than 3 times 24"):
        program.run(3)
    fixed = np.zeros(12, np.int64)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="must be writable"):
        sink.move_to(fixed)
    late = _kernels.Cursor()
    late.move_to(fixed)
    with pytest.raises(ValueError, match="must be writable"):
        _kernels.write_next(three, late)
    with pytest.raises(ValueError, match="an array with axes"):
        source.move_to(data[0])
    source.let_go()
    with pytest.raises(ValueError, match="points nowhere"):
        program.run()
    with pytest.raises(ValueError, match="points nowhere"):
        _kernels.read_next(source, three)


@pytest.mark.parametrize("source", ["float32", "float64", ">f4", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (4, 6)])
def test_copy_arrays(shape, source, rng):
    x = np.asarray(9 * rng.random(shape)).astype(source)
    for each in (x, x.T.copy().T, np.broadcast_to(x, (2, *shape))[1, ...]):
        same, wide = np.zeros(shape, source), np.zeros(shape, np.float64)
        strided = np.zeros((*shape, 2), source)[..., 1]
        _kernels.copy_arrays([each] * 3, [same, wide, strided])
        for copy in (same, wide, strided):
            np.testing.assert_array_equal(copy, each)


def test_copies_that_are_refused():
    x, y = np.ones((2, 3)), np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"\(2, 3\); it must be that of its target, \(3, 2\)"):
        _kernels.copy_arrays([x.T, x], [y, y])
    with pytest.raises(ValueError, match="1 arrays do not fill 2"):
        _kernels.copy_arrays([x], [x, y])
    with pytest.raises(TypeError, match="None"):
        _kernels.copy_arrays([x.T, x], [y, None])
    with pytest.raises(TypeError, match="list"):
        _kernels.copy_arrays([[1.0]], [y])
    fixed = np.zeros((2, 3))
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        _kernels.copy_arrays([x], [fixed])
    assert not y.any()
    assert not fixed.any()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16", "bool"])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (7, 0), (7, 2, 2)])
def test_pick(shape, dtype, rng):
    x = rng.integers(0, 2, shape).astype(dtype)
    rows = np.array([6, 0, 0, 3])
    out = np.zeros((4, *shape[1:]), dtype)
    _kernels.pick(x, rows, out)
    np.testing.assert_array_equal(out, x[rows])
    with pytest.raises(ValueError, match=r"rows\[1\] is 7"):
        _kernels.pick(x, np.array([0, 7, 1, 1]), out)
    with pytest.raises(ValueError, match="recorded calls"):
        _kernels.pick(x, rows, out, _kernels.Cursor())
    with pytest.raises(TypeError, match="rows of object cannot be copied"):
        _kernels.pick(x.astype(object), rows, out.astype(object))


@pytest.mark.parametrize("asked", [0, 1, 4, 100])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (7, 0), (7, 500)])
def test_rows_are_the_same_if_they_are_asked_for_before(shape, asked, rng):
    """Up to the end of the order, where fewer follow than are asked for."""
    x = rng.standard_normal(shape).astype(np.float32)
    order, rows = rng.integers(0, 7, 12), np.zeros(4, np.int64)
    out, seen = np.zeros((4, *shape[1:]), np.float32), np.zeros((12, *shape[1:]), np.float32)
    numbers, source, sink = _kernels.Cursor(), _kernels.Cursor(), _kernels.Cursor()
    program = recorded(
        lambda: _kernels.read_next(numbers, rows),
        lambda: _kernels.pick(x, rows, out, source),
        lambda: _kernels.fetch_next(numbers, asked, x, source),
        lambda: _kernels.write_next(out, sink),
    )
    with pytest.raises(ValueError, match="points nowhere"):
        program.run()
    for cursor, array in ((numbers, order), (source, x), (sink, seen)):
        cursor.move_to(array)
    assert program.run(3) == 3
    np.testing.assert_array_equal(seen, x[order])


def test_rows_are_asked_for_in_a_program_only():
    x, numbers, source = np.zeros((3, 2)), _kernels.Cursor(), _kernels.Cursor()
    with pytest.raises(RuntimeError, match="call it inside record"):
        _kernels.fetch_next(numbers, 1, x, source)
    for wrong in (
        (numbers, -1, x, source),
        (numbers, 1, x[:0], source),
        (numbers, 1, x[0, 0], source),
    ):
        with pytest.raises((ValueError, TypeError)):
            recorded(lambda wrong=wrong: _kernels.fetch_next(*wrong))


def test_a_program_stops_at_a_label_that_is_no_class():
    labels, classes = np.array([0, 1, 2]), np.zeros(3, np.int64)
    count = np.zeros((), np.int64)
    program = recorded(
        lambda: _kernels.labels(labels, 3, classes), lambda: _kernels.count_up(count)
    )
    assert (program.run(5), program.failed, int(count)) == (5, False, 5)
    labels[1] = 3
    assert (program.run(5), program.failed, int(count)) == (0, True, 5)
    labels[1] = 0
    assert (program.run(5), program.failed, int(count)) == (5, False, 10)


def test_a_program_gives_way_when_its_time_is_over():
    count = np.zeros((), np.int64)
    program = recorded(lambda: _kernels.count_up(count))
    assert program.run(10, seconds=0.0) == 1
    assert int(count) == 1
    for forever in (np.inf, np.nan, 1e300):
        assert program.run(10, seconds=forever) == 10
    assert program.run(10, seconds=-np.inf) == 1


def test_rates_are_read_when_the_kernel_runs(dtype):
    w, g = np.ones(4, dtype), np.ones(4, dtype)
    rate = np.array(0.5)
    program = recorded(lambda: _kernels.sgd(w, g, rate))
    program.run()
    rate[...] = 0.25
    program.run()
    np.testing.assert_array_equal(w, 0.25)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("bad", [None, np.inf, np.nan])
def test_compressed_rows_in_a_program(accumulate, bad, dtype, isa, rng):
    """Run after run with other rows; with all elements where the other operand is not finite."""
    x = (rng.standard_normal((40, 60)) * (rng.random((40, 60)) < 0.2)).astype(dtype)
    data = _kernels.compress(x)
    batch, rows = data.buffer(8), np.arange(8)
    w, rate = rng.standard_normal((60, 33)).astype(dtype), np.array(0.1)
    b = rng.standard_normal((8, 33)).astype(dtype)
    out = np.zeros((8, 33), dtype)

    def product():
        if accumulate:
            _kernels.matmul(batch, b, transpose_a=True, out=w, accumulate=True, rate=rate)
        else:
            _kernels.matmul(batch, w, out=out)

    program = recorded(lambda: _kernels.pick_rows(data, rows, batch), product)
    for run in range(4):
        rows[...] = rng.permutation(40)[:8]
        if run == 2 and bad is not None:
            (b if accumulate else w)[3, 5] = bad
        before = w.copy()
        program.run()
        dense = x[rows]
        if accumulate:
            _kernels.matmul(dense, b, transpose_a=True, out=before, accumulate=True, alpha=-0.1)
            np.testing.assert_array_equal(w, before)
        else:
            np.testing.assert_array_equal(out, _kernels.matmul(dense, w))
