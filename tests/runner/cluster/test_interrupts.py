import signal
import threading

import pytest

from normscope.runner.cluster import interrupts
from normscope.runner.cluster.interrupts import signals_held

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Ended(BaseException):
    """What the handler of a program raises."""


@pytest.fixture
def handlers():
    """Puts a handler in place for all three signals until the test ends."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def put(handler):
        for number in SIGNALS:
            signal.signal(number, handler)

    yield put
    for number, handler in before.items():
        signal.signal(number, handler)


def end(number, frame):
    raise Ended(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_reaches_the_programs_handler_when_it_is_delivered(handlers, number):
    handlers(end)
    with signals_held() as signals:
        signals.deliver()
        signal.raise_signal(number)
        with pytest.raises(Ended, match=str(int(number))):
            signals.deliver()


def test_an_interrupt_is_raised_as_python_does(handlers):
    handlers(signal.default_int_handler)
    with signals_held() as signals:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signals.deliver()


@pytest.mark.parametrize("number", SIGNALS)
def test_another_signal_after_a_second_delivers_the_first(handlers, monkeypatch, number):
    handlers(end)
    with signals_held():
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(interrupts, "_PATIENCE_SECONDS", -1.0)
        with pytest.raises(Ended, match=str(int(signal.SIGINT))):
            signal.raise_signal(number)


def test_two_signals_at_once_are_one_wish(handlers):
    handlers(end)
    with signals_held() as signals:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Ended, match=str(int(signal.SIGHUP))):
            signals.deliver()


def test_a_signal_that_was_not_delivered_is_at_the_end(handlers):
    handlers(end)
    with pytest.raises(Ended), signals_held():
        signal.raise_signal(signal.SIGTERM)


def test_afterwards_the_program_has_its_handlers_again(handlers):
    handlers(end)
    with signals_held():
        assert signal.getsignal(signal.SIGTERM) is not end
    assert [signal.getsignal(number) for number in SIGNALS] == [end] * 3


@pytest.mark.parametrize("disposition", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_signal_that_the_program_ignores_or_leaves_to_the_system_is_left_so(handlers, disposition):
    handlers(disposition)
    with signals_held():
        assert [signal.getsignal(number) for number in SIGNALS] == [disposition] * 3


def test_a_handler_that_raises_nothing_lets_the_program_go_on(handlers):
    heard = []
    handlers(lambda number, frame: heard.append(number))
    with signals_held() as signals:
        signal.raise_signal(signal.SIGINT)
        signals.deliver()
        signal.raise_signal(signal.SIGHUP)
    assert heard == [signal.SIGINT, signal.SIGHUP]


def test_a_thread_other_than_the_main_one_may_use_it():
    seen = []

    def use():
        with signals_held() as signals:
            seen.append(signals.deliver())

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == [None]
