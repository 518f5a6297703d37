"""Join the adapters of mail providers to their addresses: prove a request, read it, and do what follows, once.

What proves a provider and what its reports say is ``newsletter.hooks``; what follows is ``newsletter.bounces``. A
request that cannot be proved is answered 403 and changes nothing; trouble of ours with 503, on which providers try
again. Amazon's certificates are fetched here, over verified TLS, from hosts of SNS alone, and kept.
"""

import hashlib
import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from newsletter.bounces import Reader, take_told
from newsletter.config import Project, read_password
from newsletter.errors import NewsletterError, StoreUnavailableError
from newsletter.hooks import PROVIDERS, Posted, Proof, Proofs, Provider, is_sns_url
from newsletter.mailtokens import find_in_values
from newsletter.web.desk import Hook, HookAnswer, HookRequest

_FETCH_MAX = 64 * 1024
_FETCH_S = 10.0
_KEPT_MAX = 16


def open_hooks(project: Project, reader: Reader, fetch: Callable[[str], bytes] | None = None) -> Mapping[str, Hook]:
    """Return the hooks of the providers by name; raise ConfigError where a password cannot be read."""
    section = project.config.bounces
    proofs = Proofs(
        sns_topics=section.sns_topics,
        username=section.webhook_username,
        password=read_password(
            project.root, section.webhook_password, section.webhook_password_file, "[bounces] webhook_password_file"
        ),
        fetch=kept(fetch or fetch_sns),
    )
    return {name: _hook(name, provider, proofs, reader) for name, provider in PROVIDERS.items()}


def _hook(name: str, provider: Provider, proofs: Proofs, reader: Reader) -> Hook:
    def take(request: HookRequest) -> HookAnswer:
        posted = Posted(headers=request.headers, body=request.body)
        proof = provider.check(posted, proofs)
        if proof is not Proof.PROVED:
            return HookAnswer(403, "refused") if proof is Proof.REFUSED else HookAnswer(503, "try again later")
        try:
            return _take(name, provider, proofs, reader, request)
        except StoreUnavailableError:
            return HookAnswer(503, "try again later")

    return take


def _take(name: str, provider: Provider, proofs: Proofs, reader: Reader, request: HookRequest) -> HookAnswer:
    """Do what a proved request reports, in one transaction; the same report twice does it once."""
    told = provider.read(Posted(headers=request.headers, body=request.body))
    if told.subscribe_url:
        try:
            proofs.fetch(told.subscribe_url)
        except NewsletterError:
            return HookAnswer(503, "try again later")
        return HookAnswer(200, "subscribed")
    named = told.report_id.encode() or request.body
    digest = hashlib.sha256(b"hook\0" + name.encode() + b"\0" + named).digest()
    tokens = find_in_values(list(told.senders), reader.keys)
    with reader.store.bounces.read_once(digest, request.now) as is_new:
        for bounce in told.bounces if is_new else ():
            take_told(reader, bounce, tokens, request.now, source=name)
    return HookAnswer(200, "taken")


# ---------------------------------------------------------------------------------------------------------------------
# What Amazon has to be asked
# ---------------------------------------------------------------------------------------------------------------------


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing: SNS answers where it is asked."""
        return


def fetch_sns(url: str) -> bytes:
    """Return what SNS answers at ``url``; raise NewsletterError where it does not, or where the URL is not SNS's."""
    if not is_sns_url(url):
        raise NewsletterError(f"{url[:200]!a} is no address of Amazon SNS")
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler())
    try:
        with opener.open(url, timeout=_FETCH_S) as answer:
            content: bytes = answer.read(_FETCH_MAX)
    except (OSError, http.client.HTTPException, urllib.error.URLError) as error:
        raise NewsletterError(f"Amazon SNS cannot be asked: {error}") from None
    return content


def kept(fetch: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """Return ``fetch`` with a memory for certificates, which never change under one URL."""
    known: dict[str, bytes] = {}
    lock = threading.Lock()

    def fetch_once(url: str) -> bytes:
        if not url.endswith(".pem"):
            return fetch(url)
        with lock:
            if url in known:
                return known[url]
        content = fetch(url)
        with lock:
            if len(known) >= _KEPT_MAX:
                known.clear()
            known[url] = content
        return content

    return fetch_once
