"""What mail providers post: who is believed, what follows, and that the same report counts once."""

import base64
import datetime as dt
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from newsroom import CONFIG

from newsletter.bounces import Policy, Reader, list_logged
from newsletter.config import load_project
from newsletter.errors import NewsletterError
from newsletter.hooks import PROVIDERS, is_sns_url
from newsletter.secretfile import load_keys
from newsletter.store import NewSubscriber, SuppressionReason, open_store
from newsletter.tokens import Purpose, Token, sign
from newsletter.web.providers import fetch_sns, open_hooks
from newsletter.web.serving import open_desk, wsgi_app

NOW = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
ANN = "ann@example.org"


class Amazon:
    """Sign notifications as SNS does, and give out its certificate."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        builder = builder.serial_number(1).not_valid_before(NOW - dt.timedelta(days=1))
        signed = builder.not_valid_after(NOW + dt.timedelta(days=900)).sign(self.key, hashes.SHA256())
        self.certificate = signed.public_bytes(serialization.Encoding.PEM)
        self.asked: list[str] = []
        self.is_down = False

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.is_down:
            raise NewsletterError("down")
        return self.certificate if url.endswith(".pem") else b"<ok/>"

    def post(self, kind: str = "Notification", message: str = "", version: str = "1", **changed: str) -> bytes:
        fields = {
            "Type": kind,
            "MessageId": changed.pop("number", "1"),
            "TopicArn": TOPIC,
            "Message": message,
            "Timestamp": "2026-11-25T08:00:00.000Z",
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE,
        }
        names = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        if kind != "Notification":
            fields |= {"Token": "t", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"}
            names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{fields[name]}\n" for name in names).encode()
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        fields["Signature"] = base64.b64encode(self.key.sign(text, padding.PKCS1v15(), algorithm)).decode()
        return json.dumps(fields | changed).encode()


@pytest.fixture(scope="module")
def amazon_key():
    return Amazon()


@pytest.fixture
def amazon(amazon_key):
    amazon_key.asked.clear()
    amazon_key.is_down = False
    return amazon_key


class House:
    """Serve the pages of a newsletter to which one subscriber belongs."""

    def __init__(self, root: Path, amazon: Amazon) -> None:
        site = CONFIG.replace("[newsletter]\n", '[newsletter]\nurl = "https://news.example.org"\n')
        more = f'\n[bounces]\nsns_topics = ["{TOPIC}"]\nwebhook_password = "a secret of ours"\n'
        (root / "newsletter.toml").write_text(site + more)
        project = load_project(root, {})
        self.keys = load_keys(project)
        self.store = open_store(project.store_url, address_key=self.keys.address_key)
        list_id = self.store.subscribers.ensure_list("newsletter", NOW).list_id
        self.store.subscribers.add_subscriber(list_id, NewSubscriber(address=ANN), NOW, origin="test")
        reader = Reader(self.store, self.keys, Policy())
        desk = open_desk(
            project, self.store, self.keys, clock=lambda: NOW, hooks=open_hooks(project, reader, amazon.fetch)
        )
        from werkzeug.test import Client

        self.client = Client(wsgi_app(desk))

    def post(self, name: str, body: bytes, **headers: str):
        return self.client.post(f"/hooks/{name}", data=body, headers=headers, content_type="text/plain").status_code

    def reason(self, address: str = ANN):
        found = self.store.subscribers.find_suppression(address)
        return found and found.reason


@pytest.fixture
def house(tmp_path, amazon):
    house = House(tmp_path, amazon)
    yield house
    house.store.close()


def bounce(address: str = ANN, source: str = "weekly@news.example.org", kind: str = "Permanent") -> str:
    recipients = [{"emailAddress": address, "diagnosticCode": "smtp; 550 5.1.1 user unknown", "status": "5.1.1"}]
    return json.dumps(
        {
            "notificationType": "Bounce",
            "bounce": {"bounceType": kind, "bouncedRecipients": recipients},
            "mail": {"source": source},
        }
    )


# ---------------------------------------------------------------------------------------------------------------------
# Amazon
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signed_bounce_suppresses_once(house, amazon, version):
    body = amazon.post(message=bounce(), version=version)
    assert house.post("ses", body) == 200
    assert house.reason() is SuppressionReason.HARD_BOUNCE
    assert house.post("ses", body) == 200
    assert [one.source for one in list_logged(house.store)] == ["ses"]
    assert amazon.asked == [CERTIFICATE], "the certificate is kept"


def test_the_token_in_the_sender_names_the_subscriber(house, amazon):
    token = sign(house.keys, Token(Purpose.BOUNCE, 1, 1))
    body = amazon.post(message=bounce("forwarded@elsewhere.example", f"bounces+{token}@news.example.org"))
    assert house.post("ses", body) == 200
    assert house.reason() is SuppressionReason.HARD_BOUNCE
    assert house.reason("forwarded@elsewhere.example") is None


def test_complaints_suppress_and_transient_bounces_do_not(house, amazon):
    assert house.post("ses", amazon.post(message=bounce(kind="Transient"))) == 200
    assert house.reason() is None
    complaint = {"notificationType": "Complaint", "complaint": {"complainedRecipients": [{"emailAddress": ANN}]}}
    assert house.post("ses", amazon.post(message=json.dumps(complaint), number="2")) == 200
    assert house.reason() is SuppressionReason.COMPLAINT


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": bounce("bob@example.org")},
        {"MessageId": "7"},
        {"Timestamp": "2027-01-01T00:00:00.000Z"},
        {"Subject": "added"},
        {"Type": "SubscriptionConfirmation"},
        {"Type": "Nonsense"},
        {"Signature": ""},
        {"Signature": "!"},
        {"SignatureVersion": "3"},
        {"TopicArn": "arn:aws:sns:eu-west-1:666666666666:bounces"},
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/a.pem"},
        {"SigningCertURL": "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem"},
        {"SigningCertURL": "https://bucket.s3.amazonaws.com/a.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com:8443/a.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/?Action=x"},
    ],
)
def test_what_amazon_did_not_sign_changes_nothing(house, amazon, changed):
    assert house.post("ses", amazon.post(message=bounce(), **changed)) == 403
    assert house.reason() is None
    assert list(list_logged(house.store)) == []
    assert all(url == CERTIFICATE for url in amazon.asked), "nobody else is asked"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"Type": 1}', b"\xff" * 100, b"[" * 100_000])
@pytest.mark.parametrize("name", PROVIDERS)
def test_nonsense_is_refused(house, name, body):
    assert house.post(name, body) == 403


def test_a_subscription_is_confirmed_at_amazon_alone(house, amazon):
    assert house.post("ses", amazon.post("SubscriptionConfirmation", "hello")) == 200
    assert amazon.asked == [CERTIFICATE, "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"]
    forged = amazon.post("SubscriptionConfirmation", "hello", SubscribeURL="https://evil.example/")
    assert house.post("ses", forged) == 403
    assert "https://evil.example/" not in amazon.asked


def test_amazon_tries_again_while_its_certificate_cannot_be_had(house, amazon):
    amazon.is_down = True
    assert house.post("ses", amazon.post(message=bounce())) == 503
    amazon.is_down = False
    assert house.post("ses", amazon.post(message=bounce())) == 200
    assert house.reason() is SuppressionReason.HARD_BOUNCE


def test_only_sns_is_ever_asked():
    assert is_sns_url("https://sns.cn-north-1.amazonaws.com.cn/a.pem")
    for url in ("https://example.org/", "file:///etc/passwd", "https://[", "https://sns.eu-west-1.amazonaws.com:x/"):
        assert not is_sns_url(url)
        with pytest.raises(NewsletterError, match="no address of Amazon SNS"):
            fetch_sns(url)


# ---------------------------------------------------------------------------------------------------------------------
# Postmark
# ---------------------------------------------------------------------------------------------------------------------

LOGIN = {"Authorization": "Basic " + base64.b64encode(b"newsletter:a secret of ours").decode()}


def postmark(kind: str = "HardBounce", address: str = ANN, **more: object) -> bytes:
    told = {"RecordType": "Bounce", "Type": kind, "Email": address, "ID": 42, "Details": "smtp;550 5.1.1 unknown"}
    return json.dumps(told | more).encode()


def test_postmark_is_believed_with_the_password(house):
    assert house.post("postmark", postmark(), **LOGIN) == 200
    assert house.reason() is SuppressionReason.HARD_BOUNCE
    (logged,) = list_logged(house.store)
    assert (logged.source, logged.status) == ("postmark", "5.1.1")
    assert house.post("postmark", postmark(), **LOGIN) == 200
    assert len(list(list_logged(house.store))) == 1


@pytest.mark.parametrize(
    "given", ["", "Basic", "Basic !", "Bearer x", "Basic " + base64.b64encode(b"newsletter:wrong").decode(), "Basic é"]
)
def test_postmark_without_the_password(house, given):
    headers = {"Authorization": given} if given else {}
    assert house.post("postmark", postmark(), **headers) == 403
    assert house.reason() is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (postmark("SoftBounce"), None),
        (postmark("Transient"), None),
        (postmark("Blocked"), None),
        (postmark("AutoResponder"), None),
        (postmark("Whatever"), None),
        (postmark(address=""), None),
        (postmark(address="no address"), None),
        (postmark("HardBounce", RecordType="SpamComplaint"), SuppressionReason.COMPLAINT),
        (postmark("SpamComplaint"), SuppressionReason.COMPLAINT),
    ],
)
def test_kinds_of_postmark(house, body, reason):
    assert house.post("postmark", body, **LOGIN) == 200
    assert house.reason() is reason


def test_an_address_that_nobody_has_here_is_suppressed_too(house):
    assert house.post("postmark", postmark(address="zoe@example.org"), **LOGIN) == 200
    assert house.reason("zoe@example.org") is SuppressionReason.HARD_BOUNCE


def test_other_names_are_no_page(house):
    assert house.post("mailgun", b"{}") == 404
    assert house.client.get("/hooks/ses").status_code == 405
