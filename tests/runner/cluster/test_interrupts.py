import signal
import threading

import pytest

from normscope.runner.cluster.interrupts import interrupts_held


@pytest.fixture(autouse=True)
def usual_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_interrupt_is_remembered_and_the_second_raised():
    with interrupts_held() as interrupted:
        assert not interrupted.is_set()
        signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_an_interrupt_is_raised_again():
    with interrupts_held():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_program_that_ignores_interrupts_continues_to_ignore_them():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_held() as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert not interrupted.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_handler_of_the_programs_own_is_called():
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append("interrupt"))
    with interrupts_held():
        signal.raise_signal(signal.SIGINT)
    assert heard == ["interrupt"]


def test_a_thread_other_than_the_main_one_may_use_it():
    seen = []

    def use():
        with interrupts_held() as interrupted:
            seen.append(interrupted.is_set())

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == [False]
