"""Examine a newsletter's whole setting, from its configuration to what DNS tells receivers, and gather the findings.

Use case: no argument parsing, no printing. The order is that of cause and effect, so that the first error is the one to
mend first. One check that fails never keeps another from being made, and nothing is mailed. What is looked at, and how,
is in ``examine``.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from newsletter.belonging import HostGuard, find_host_id
from newsletter.config import Project
from newsletter.diagnosis import Finding, unchecked
from newsletter.dnsrecords import Resolver, SilentResolver
from newsletter.examine.bounces import examine_bounces
from newsletter.examine.clock import examine_clock
from newsletter.examine.dkim import examine_dkim
from newsletter.examine.dmarc import examine_dmarc
from newsletter.examine.monitoring import examine_monitoring
from newsletter.examine.mx import examine_mx
from newsletter.examine.names import MailNames, find_addresses
from newsletter.examine.ptr import examine_ptr
from newsletter.examine.relay import examine_relay
from newsletter.examine.setup import examine_keys, examine_secret, examine_sender, examine_setup, open_setup
from newsletter.examine.spf import examine_spf
from newsletter.examine.store import examine_host, examine_store, latest_instant, room_of
from newsletter.identity import SenderIdentity
from newsletter.relaylook import RelayLook, look_at_relay


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Name the newsletter to examine, and what may be asked.

    Without a ``resolver`` nothing is asked over the network, the relay included. ``sends_from`` are the addresses from
    which the relay passes mail on, where the operator names them.
    """

    root: Path
    environ: Mapping[str, str]
    clock: Callable[[], dt.datetime]
    resolver: Resolver | None = None
    sends_from: tuple[str, ...] = ()


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield one finding after the other, as they are found."""
    project, identity, findings = open_setup(patient.root, patient.environ)
    yield from findings
    if project is None:
        return
    yield from examine_setup(project, patient.environ)
    yield from _examine_store(patient, project)
    look = _look(patient, project)
    room = room_of(project.store_url)
    yield from examine_clock(patient.clock, latest_instant(room), room.folder or project.root, look)
    if patient.resolver is None:
        yield unchecked("relay", "the relay was not asked (--offline)")
    else:
        yield from examine_relay(project.config.relays[0], project.root, look, patient.clock())
        for relay in project.config.relays[1:]:
            other = look_at_relay(relay, project.root, patient.clock)
            yield from examine_relay(relay, project.root, other, patient.clock())
    yield from examine_bounces(project.config.bounces, project.root, offline=patient.resolver is None)
    yield from examine_monitoring(project.config.monitoring.textfile, project.root)
    if identity is not None:
        yield from _examine_names(patient, project, identity)


def _examine_store(patient: Patient, project: Project) -> Iterator[Finding]:
    room = room_of(project.store_url)
    keys, findings = examine_secret(project, has_store=room.holds_store)
    yield from findings
    yield from examine_store(room, keys, patient.clock())
    guard = HostGuard(root=project.root, host_id=find_host_id(), is_shared=room.path is None)
    yield from examine_host(room, guard.refusal)


def _look(patient: Patient, project: Project) -> RelayLook:
    smtp = project.config.relays[0]
    if patient.resolver is None:
        return RelayLook(smtp.host, smtp.port)
    return look_at_relay(smtp, project.root, patient.clock)


def _examine_names(patient: Patient, project: Project, identity: SenderIdentity) -> Iterator[Finding]:
    """Yield what receivers will think of our names."""
    yield from examine_sender(identity)
    signer, findings = examine_keys(project, identity.domain)
    yield from findings
    resolver = patient.resolver or SilentResolver()
    names = MailNames(
        from_domain=identity.domain,
        return_path=identity.bounce_address,
        relay_host=project.config.relays[0].host,
        sends_from=patient.sends_from,
        signed_by=signer.domain if signer else "",
        keys=signer.keys if signer else (),
    )
    seen = find_addresses(names, resolver)
    others = [(other, find_addresses(other, resolver)) for other in _other_relays(project, names)]
    yield from examine_mx(names, resolver)
    yield from examine_spf(names, seen, resolver)
    for other, seen_too in others:
        yield from examine_spf(other, seen_too, resolver)
    yield from examine_dkim(names, resolver)
    yield from examine_dmarc(names, resolver)
    yield from examine_ptr(names, seen, resolver)
    for other, seen_too in others:
        yield from examine_ptr(other, seen_too, resolver)


def _other_relays(project: Project, names: MailNames) -> Iterator[MailNames]:
    """Yield the names with each further relay's host; none where the operator named the addresses of all of them."""
    hosts = dict.fromkeys(relay.host for relay in project.config.relays)
    if not names.sends_from:
        yield from (replace(names, relay_host=host) for host in hosts if host != names.relay_host)
