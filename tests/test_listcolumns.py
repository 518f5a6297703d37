"""Who had left where a list comes from is never mailed here, whatever program wrote it, and however it says so."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.listcolumns import GUARDED, RowStanding, guard_cell, is_meaning, read_instant, unguard_cell
from newsletter.listfile import BadRow, Row, read_rows

ACTIVE, BOUNCED = RowStanding(), RowStanding("", "bounced")
PENDING, UNSUBSCRIBED, REMOVED = (RowStanding(word) for word in ("pending", "unsubscribed", "removed"))


def read(content: str, file: str = "people.csv", **options: str) -> list[Row | BadRow]:
    return list(read_rows(io.BytesIO(content.encode()), file, **options))


def one(heading: str, line: str, file: str = "people.csv") -> Row | BadRow:
    (row,) = read(f"{heading}\n{line}\n", file)
    return row


# --- the exports of others -------------------------------------------------------------------------------------------

MAILCHIMP = "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,LEID,EUID,NOTES,TAGS"
SUBSTACK = "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at"
GHOST = (
    "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at,labels,tiers"
)
BUTTONDOWN = "email_address,notes,metadata,tags,referrer_url,secondary_id,type,source,creation_date,unsubscription_date"
LISTMONK = "uuid,email,name,attributes,status,created_at,updated_at"


def test_mailchimp():
    row = one(MAILCHIMP, 'ann@example.org,Ann,Lee,2,"2024-01-02 03:04:05",192.0.2.1,,1,ab,,"""VIP"",""Blog"""')
    assert (row.email, row.name, row.standing) == ("ann@example.org", "Ann Lee", ACTIVE)
    assert row.attributes["optin_time"] == "2024-01-02 03:04:05"
    assert row.attributes["tags"] == '"VIP","Blog"'
    assert row.topics == "", "a tag is the editor's word for somebody, and no topic that they chose"
    assert one("Email Address,UNSUB_TIME,UNSUB_REASON", "a@example.org,2024-01-02,").standing == UNSUBSCRIBED
    assert one("Email Address,CLEAN_TIME", "a@example.org,2024-01-02 03:04:05").standing == BOUNCED


@pytest.mark.parametrize(
    ("file", "standing"),
    [
        ("x/subscribed_email_audience_export_ab12.csv", ACTIVE),
        ("x/unsubscribed_email_audience_export_ab12.csv", UNSUBSCRIBED),
        ("cleaned_members_export_ab12.csv", BOUNCED),
        ("C:\\x\\Cleaned_members.csv", BOUNCED),
    ],
)
def test_mailchimp_writes_one_file_for_each_status(file, standing):
    assert one(MAILCHIMP, "ann@example.org,Ann,Lee,2,,,,1,ab,,", file).standing == standing


@pytest.mark.parametrize(
    ("heading", "line", "standing"),
    [
        (SUBSTACK, "a@example.org,true,2027-01-01,yearly,false,2025-01-01,2025-01-01", ACTIVE),
        (SUBSTACK, "a@example.org,false,,other,false,2025-01-01,", ACTIVE),
        (SUBSTACK, "a@example.org,true,2027-01-01,yearly,true,2025-01-01,", UNSUBSCRIBED),
        (GHOST, "1,a@example.org,A,,true,false,,2024-01-15T10:00:00.000Z,,vip,", ACTIVE),
        (GHOST, "1,a@example.org,A,,false,false,,2024-01-15T10:00:00.000Z,,vip,", UNSUBSCRIBED),
        (GHOST, "1,a@example.org,A,,true,false,,2024-01-15T10:00:00.000Z,2024-02-01,,", REMOVED),
        (BUTTONDOWN, "a@example.org,,{},,,7,regular,,2024-01-01,", ACTIVE),
        (BUTTONDOWN, "a@example.org,,{},,,7,premium,,2024-01-01,", ACTIVE),
        (BUTTONDOWN, "a@example.org,,{},,,7,past_due,,2024-01-01,", ACTIVE),
        (BUTTONDOWN, "a@example.org,,{},,,7,unactivated,,2024-01-01,", PENDING),
        (BUTTONDOWN, "a@example.org,,{},,,7,unsubscribed,,2024-01-01,2024-02-01", UNSUBSCRIBED),
        (BUTTONDOWN, "a@example.org,,{},,,7,regular,,2024-01-01,2024-02-01", UNSUBSCRIBED),
        (BUTTONDOWN, "a@example.org,,{},,,7,removed,,2024-01-01,", REMOVED),
        (BUTTONDOWN, "a@example.org,,{},,,7,undeliverable,,2024-01-01,", BOUNCED),
        (BUTTONDOWN, "a@example.org,,{},,,7,spammy,,2024-01-01,", RowStanding("", "blocked")),
        (LISTMONK, "u,a@example.org,A,{},enabled,2024-01-01,2024-01-01", ACTIVE),
        (LISTMONK, "u,a@example.org,A,{},disabled,2024-01-01,2024-01-01", REMOVED),
        (LISTMONK, "u,a@example.org,A,{},blocklisted,2024-01-01,2024-01-01", RowStanding("", "blocked")),
        ("email,status", "a@example.org,Unsubscribed", UNSUBSCRIBED),
        ("email,status", "a@example.org,hard_bounced", BOUNCED),
        ("email,status", "a@example.org,complained", RowStanding("", "complained")),
        ("email,subscribed", "a@example.org,2024-01-01", ACTIVE),
        ("email,subscribed", "a@example.org,0", UNSUBSCRIBED),
        ("email,opt-in,bounced", "a@example.org,yes,yes", BOUNCED),
        ("email,status,unsubscribed_at", "a@example.org,active,2024-01-01", UNSUBSCRIBED),
        ("email,unsubscribed", "a@example.org,FALSE", ACTIVE),
        ("email,state", "a@example.org,CA", ACTIVE),
        ("email,type", "a@example.org,customer", ACTIVE),
    ],
)
def test_where_people_stood(heading, line, standing):
    assert one(heading, line).standing == standing


def test_attributes_of_listmonk_and_buttondown_are_attributes():
    row = one(
        LISTMONK, 'u,a@example.org,A,"{""city"": ""Lyon"", ""n"": 3, ""x"": null, ""deep"": {""a"": [1]}}",enabled,,'
    )
    assert row.attributes == {"uuid": "u", "city": "Lyon", "n": "3", "deep": '{"a": [1]}'}
    for broken in ("{", "[1]", "7", "[" * 5000):
        row = one("email,metadata", f'a@example.org,"{broken}"')
        assert row.attributes == {"attributes": broken[:10_000]}


@pytest.mark.parametrize("status", ["gold member", "???", "=1+1"])
def test_a_status_that_is_not_known_is_refused(status):
    row = one("email,status", f"a@example.org,{status}")
    assert isinstance(row, BadRow)
    assert "is not known, so nobody is mailed on it" in row.reason
    assert "rename the column" in row.reason


@pytest.mark.parametrize("status", ["nonsubscribed", "transactional", "Non-subscribed"])
def test_who_never_subscribed_is_refused(status):
    row = one("email,status", f"a@example.org,{status}")
    assert isinstance(row, BadRow)
    assert "never subscribed" in row.reason


def test_topics_may_be_taken_from_any_column():
    text = 'email,What are you interested in?\na@example.org,"Beauty, Big Data"\n'
    (row,) = read(text, topics_from="what are you  interested in?")
    assert (row.topics, row.attributes) == ("Beauty, Big Data", {})
    from newsletter.errors import InputError

    with pytest.raises(InputError, match="no column 'tags' to take topics from; found: email, what are you"):
        read(text, topics_from="tags")


# --- formulas --------------------------------------------------------------------------------------------------------

PAYLOADS = [
    "=1+1",
    "+33 6 12",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    '=HYPERLINK("https://evil.example","click")',
    "\t=1+1",
    "\r=1+1",
    "'=1+1",
    "''=1+1",
    "'-",
    "''",
]


@pytest.mark.parametrize("cell", PAYLOADS)
def test_formulas_are_guarded_and_come_back(cell):
    guarded = guard_cell(cell)
    assert guarded[0] not in GUARDED
    assert unguard_cell(guarded) == cell


@pytest.mark.parametrize("cell", ["", "Ann", "'t Hooft", "'", "O'Brien", "a=b", " =1"])
def test_plain_cells_stay_as_they_are(cell):
    assert guard_cell(cell) == unguard_cell(cell) == cell


@given(st.text(alphabet="'=+-@\t\ra ", max_size=6))
def test_every_cell_comes_back(cell):
    assert unguard_cell(guard_cell(cell)) == cell
    assert guard_cell(cell)[:1] not in list(GUARDED)


# --- words -----------------------------------------------------------------------------------------------------------


def test_which_headings_mean_something():
    assert all(map(is_meaning, ["E-Mail", "Time Zone", "STATUS", "type", "Attributes", "joined_at"]))
    assert not any(map(is_meaning, ["town", "company", "optin_time"]))


def test_instants_have_a_zone():
    assert read_instant("2026-11-25T08:00:00+00:00").hour == 8
    assert read_instant("2026-11-25 08:00") is None
    assert read_instant("yesterday") is None
