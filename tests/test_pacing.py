"""Sends that keep to rates, of the relay and of recipients' domains, over runs and beside each other.

The clock stands still but for the waits that the run asks for, so that seconds of pacing take none.
"""

import dataclasses
import datetime as dt
import threading
from collections import Counter

import pytest
from sender_world import START, World, mailed, people
from smtp_server import SmtpServer

from newsletter.pace import parse_rate
from newsletter.reports import Ending
from newsletter.sender import Transport, run_send


class ForwardingStop(threading.Event):
    """Put the clock forward by what somebody wants to wait."""

    def __init__(self, clock) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = 0.0

    def wait(self, timeout=None):
        self.seconds += timeout
        self.clock.forward(seconds=timeout)
        return self.is_set()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "newsletter.db")
    with world.store:
        yield world


@pytest.fixture
def server():
    with SmtpServer() as server:
        yield server


def run(world, server, *, rate="", domains=None, stop=None, **changes):
    """Run the send at these rates, and return the report and the instants at which results were recorded."""
    stop = stop or ForwardingStop(world.clock)
    instants = []

    def progress(result):
        instants.append((result.delivery.domain, world.clock.now))

    connect = world.setup(server).connect
    relay = Transport(name="relay", connect=connect, rate=parse_rate(rate))
    rates = {domain: parse_rate(text) for domain, text in (domains or {}).items()}
    report = world.run(server, stop=stop, progress=progress, transports=(relay,), rates=rates, **changes)
    return report, instants, stop


def test_relay_gets_no_more_than_its_rate(world, server):
    world.plan(*people(50))
    report, _, stop = run(world, server, rate="10/s")
    assert report.ending is Ending.FINISHED
    # Ten at once, and the others a tenth of a second apart.
    assert 3.9 <= stop.seconds <= 5.0
    assert mailed(server) == Counter(people(50))


def test_new_run_does_not_burst(world, server):
    world.plan(*people(40))
    stop = ForwardingStop(world.clock)
    counted = []

    def end_soon(_result):
        counted.append(1)
        if len(counted) == 9:
            stop.set()

    connect = world.setup(server).connect
    relay = Transport(name="relay", connect=connect, rate=parse_rate("600/min"))
    world.run(server, stop=stop, progress=end_soon, transports=(relay,))
    assert 9 <= len(server.dotted) <= 10
    assert world.store.buckets.load_buckets(world.clock())
    _, _, later = run(world, server, rate="600/min")
    assert len(server.dotted) == 40
    assert later.seconds >= 2.9  # thirty messages at ten a second, with nothing saved up
    world.clock.forward(minutes=1)
    run(world, server, rate="600/min")
    assert not world.store.buckets.load_buckets(world.clock())


def test_slow_domain_holds_up_nobody_else(world, server):
    world.plan(*people(30, "slow.example"), *people(30, "fast.example"))
    report, instants, _ = run(world, server, domains={"slow.example": "1/s"})
    assert report.ending is Ending.FINISHED
    fast = [at for domain, at in instants if domain == "fast.example"]
    slow = [at for domain, at in instants if domain == "slow.example"]
    assert max(fast) - START < dt.timedelta(seconds=3)
    assert dt.timedelta(seconds=28) <= max(slow) - START <= dt.timedelta(seconds=45)
    assert mailed(server) == Counter([*people(30, "slow.example"), *people(30, "fast.example")])


def test_star_is_the_rate_of_every_other_domain_each_for_itself(world, server):
    world.plan(*people(5, "a.example"), *people(5, "b.example"), *people(5, "c.example"))
    _, _, stop = run(world, server, domains={"*": "1/s", "c.example": "100/s"})
    assert 3.9 <= stop.seconds <= 8  # a and b in turns, and c at once
    assert len(server.dotted) == 15


def test_rows_of_a_domain_that_is_far_behind_go_back_to_the_ledger_uncharged(world, server):
    """What cannot be sent for long is neither kept in memory nor tried; the run goes on as it comes due."""
    world.plan(*people(60, "slow.example"))
    looked = []

    def look(seconds):
        rows = world.rows()
        looked.append(Counter(str(row.state) for row in rows.values()))
        world.clock.forward(seconds=seconds)

    stop = ForwardingStop(world.clock)
    stop.wait = look
    report, _, _ = run(world, server, domains={"slow.example": "30/min"}, stop=stop)
    assert report.ending is Ending.FINISHED
    assert min(counts["claimed"] for counts in looked) <= 10
    assert {row.attempts for row in world.rows().values()} == {1}
    assert 115 <= (world.clock.now - START).total_seconds() <= 150


def test_paced_rows_do_not_travel_behind_a_dot_before_their_time(world, server):
    world.plan(*people(4))
    report, _, stop = run(world, server, rate="1/s")
    assert report.ending is Ending.FINISHED
    assert stop.seconds >= 2.9
    assert world.connections == 1


def test_several_connections_share_the_rate(world):
    world.plan(*people(20))
    world.clock.now = dt.datetime.now(dt.UTC)
    with SmtpServer() as server:
        relay = Transport(name="relay", connect=world.setup(server).connect, connections=3, rate=parse_rate("20/s"))
        real = world.setup(server, transports=(relay,))
        report = run_send(world.store, world.send_id, dataclasses.replace(real, clock=lambda: dt.datetime.now(dt.UTC)))
        assert report.account.sent == 20


def test_stop_ends_a_wait_for_tokens(world, server):
    world.plan(*people(20))
    stop = ForwardingStop(world.clock)
    wait = stop.wait

    def end(seconds):
        stop.set()
        return wait(seconds)

    stop.wait = end
    report, _, _ = run(world, server, rate="1/s", stop=stop)
    assert report.ending is Ending.STOPPED
    assert report.account.open >= 18


# --- several transports --------------------------------------------------------------------------------------------


def relay_of(world, server, name, **values):
    def connect():
        section = world.setup(server).connect
        return section()

    return Transport(name=name, connect=connect, **values)


def test_weights_share_the_messages(world):
    world.plan(*people(200))
    with SmtpServer() as big, SmtpServer() as small:
        transports = (relay_of(world, big, "big", weight=3), relay_of(world, small, "small", weight=1))
        report = world.run(big, transports=transports)
        assert report.account.sent == 200
        assert 130 <= len(big.accepted) <= 170
        assert mailed(big) + mailed(small) == Counter(people(200))
        assert report.carried == {"big": len(big.accepted), "small": len(small.accepted)}


def test_transport_that_is_down_gets_nothing_and_the_other_carries_all(world):
    world.plan(*people(60))
    with SmtpServer() as up, SmtpServer() as down:
        down.stop()
        transports = (relay_of(world, down, "down", weight=5), relay_of(world, up, "up"))
        report = world.run(up, transports=transports)
        assert (report.ending, report.account.sent) == (Ending.FINISHED, 60)
        assert mailed(up) == Counter(people(60))
        assert {row.attempts for row in world.rows().values()} == {1}
        assert report.carried == {"down": 0, "up": 60}


def test_run_ends_when_every_transport_is_down_and_charges_nobody(world):
    world.plan(*people(10))
    with SmtpServer() as one, SmtpServer() as two:
        one.stop()
        two.stop()
        transports = (relay_of(world, one, "one"), relay_of(world, two, "two"))
        report = world.run(one, transports=transports)
    assert (report.ending, report.account.open) == (Ending.UNAVAILABLE, 10)
    assert {row.attempts for row in world.rows().values()} == {0}


def test_transport_that_puts_us_off_is_spared(world):
    world.plan(*people(60))
    with SmtpServer() as full, SmtpServer() as up:
        full.say("mail", "452 4.3.1 insufficient system storage", times=None)
        transports = (relay_of(world, full, "full"), relay_of(world, up, "up"))
        report = world.run(up, transports=transports)
        assert sum(command.startswith("MAIL") for command in full.commands) <= 12
        assert report.account.sent >= 48
        assert report.ending is Ending.WAITING
