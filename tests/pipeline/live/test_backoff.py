from pipeline.live.backoff import Backoff


def test_waits_double_up_to_the_longest_and_are_shortened_at_random():
    backoff = Backoff(1.0, 60.0, seed=0)
    waits = [backoff.next_s() for _ in range(2000)]
    for number, wait in enumerate(waits):
        full = min(60.0, 2.0 ** min(number, 20))
        assert full / 2 <= wait <= full
    assert len(set(waits)) == len(waits)


def test_after_a_success_it_begins_anew():
    backoff = Backoff(1.0, 60.0, seed=0)
    for _ in range(5):
        backoff.next_s()
    backoff.succeeded()
    assert backoff.next_s() <= 1.0


def test_many_that_fail_at_once_do_not_come_back_at_once():
    waits = sorted(Backoff(8.0, 60.0, seed).next_s() for seed in range(50))
    assert waits[-1] - waits[0] > 2
