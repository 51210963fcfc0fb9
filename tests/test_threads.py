"""Threads share out work: the results are those of one, and Ctrl-C ends them."""

import os
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info

from facestats.machine import threads
from facestats.machine.threads import in_threads, one_thread
from facestats.scores import regressor as mlp
from facestats.scores.folds import out_of_fold
from facestats.scores.training import train_regressor
from programs import run_program
from rated import QUICK, noisy_line
from resources import names

ENDLESS = """
import os, signal, threading
# A shell starts background jobs deaf to SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
from facestats.machine import threads
from facestats.scores import folds
from rated import noisy_line
import pandas as pd
threads.processors = lambda: 2
train, once = folds.train_regressor, threading.Lock()
def watched(*data, on_epoch, **options):
    def told(epoch, *losses):
        if epoch == 2 and once.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)
        on_epoch(epoch, *losses)
    return train(*data, on_epoch=told, **options)
folds.train_regressor = watched
persons = pd.Series([str(i) for i in range(200)])
folds.out_of_fold(*noisy_line(200, 5), persons, 4, 0.2, epochs=10**9, patience=10**9)
"""


@pytest.fixture(params=[1, 3])
def workers(request, monkeypatch):
    monkeypatch.setattr(threads, "processors", lambda: request.param)
    return request.param


def test_results_are_in_the_order_of_the_items(workers):
    assert in_threads(lambda item: item * 2, iter(range(50)), 50) == list(range(0, 100, 2))
    assert in_threads(str, [], 1) == []


def test_each_thread_computes_alone_and_starts_no_others(workers):
    before = torch.get_num_threads()
    with one_thread():
        used = in_threads(
            lambda _: (
                torch.get_num_threads(),
                {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"},
                set(in_threads(lambda _: threading.get_ident(), range(9), 9))
                == {threading.get_ident()},
            ),
            range(9),
            9,
        )
    assert used == [(1, {1}, True)] * 9
    assert torch.get_num_threads() == before
    assert threading.active_count() < 20


def test_items_are_taken_as_they_are_needed(workers):
    taken, done = [], []

    def items():
        for item in range(100):
            taken.append(item)
            assert len(taken) - len(done) <= 3 * workers + 1
            yield item

    in_threads(done.append, items(), 100)
    assert sorted(done) == list(range(100))


def test_an_error_is_raised_and_the_rest_not_begun(workers):
    begun = []

    def fail(item):
        begun.append(item)
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        in_threads(fail, range(1000), 1000)
    assert len(begun) < 20


@pytest.mark.long
def test_folds_and_predictions_are_the_same_bits_on_any_number_of_processors(monkeypatch):
    x, y = noisy_line(240, 5)
    model, bits = train_regressor(x[:200], y[:200], x[200:], y[200:], **QUICK), []
    monkeypatch.setattr(mlp, "ROWS", 16)
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "processors", lambda count=count: count)
        table, problems = out_of_fold(
            x, y, pd.Series(names(240), index=names(240)), 4, 0.2, **QUICK
        )
        assert problems == []
        bits.append((model.predict(x).tobytes(), table["attractiveness_raw"].to_numpy().tobytes()))
    assert len(set(bits)) == 1
    assert np.abs(model.predict(x) - [model.predict(row[None])[0] for row in x]).max() < 1e-5


@pytest.mark.thorough
@pytest.mark.long
def test_ctrl_c_ends_trainings_that_nobody_waits_for():
    run = run_program(
        [sys.executable, "-c", ENDLESS],
        environment=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        seconds=120,
    )
    assert run.returncode, run.stderr
    assert "KeyboardInterrupt" in run.stderr
    assert "_StoppedError" not in run.stderr
