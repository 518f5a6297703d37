"""Hold bounces as many servers write them, made up by hand after each server's own form; for tests of ``dsn``."""

from typing import NamedTuple


class Case(NamedTuple):
    """Hold one report: who writes so, what must be read from it, and its text, which starts with the header."""

    server: str
    address: str
    is_hard: bool
    reason: str
    text: str

    @property
    def content(self) -> bytes:
        """Return the bytes of the mail, with the message that it returns; that one's words must count for nothing."""
        return f"{self.text.strip()}\n\n{RETURNED}".encode()


RETURNED = """------ This is a copy of the message, including all the headers. ------

Return-path: <weekly@news.example.com>
From: Weekly <weekly@news.example.com>
To: cat@example.org
Subject: Issue 12

The account of the user is full, over quota, and this user unknown.
"""

CASES = (
    Case(
        "Apache James",
        "cat@example.org",
        True,
        "userunknown",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
Subject: [BOUNCE]

Hi. This is the James mail server at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.  Below
I include the list of recipients and the reason why I was unable to deliver
your message.

Failed recipient(s):
cat@example.org

Error message:
550 - 5.1.1 No such user here
""",
    ),
    Case(
        "Biglobe",
        "cat@biglobe.example.jp",
        False,
        "mailboxfull",
        """
From: postmaster@biglobe.example.jp
To: bounces@news.example.com
Subject: Returned mail

   ----- The following addresses had delivery problems -----

<cat@biglobe.example.jp>

   ----- Non-delivered information -----

The number of messages in recipient's mailbox exceeded the local limit.
Mailbox is full.
""",
    ),
    Case(
        "Domino",
        "cat@example.org",
        True,
        "userunknown",
        """
From: postmaster@mx.example.net
To: bounces@news.example.com
Subject: DELIVERY FAILURE: User cat (cat@example.org) not listed in Domino Directory

Your message

  Subject: Issue 12

was not delivered to:

  cat@example.org

because:

  User cat (cat@example.org) not listed in Domino Directory
""",
    ),
    Case(
        "Notes",
        "cat@notes.example.org",
        True,
        "userunknown",
        """
From: postmaster@mx.example.net
To: bounces@news.example.com
Subject: DELIVERY FAILURE: Issue 12

------- Failure Reasons  --------

User not listed in public Name & Address Book
cat@notes.example.org

------- Returned Message --------
""",
    ),
    Case(
        "MailMarshal",
        "cat@example.org",
        True,
        "userunknown",
        """
Return-Path: <>
From: postmaster@mx.example.net
To: bounces@news.example.com
Subject: Undeliverable Mail: "Issue 12"

Your message:
   From:    weekly@news.example.com
   Subject: Issue 12
Could not be delivered because of

550 5.1.1 User unknown

The following recipients were affected:
    cat@example.org
""",
    ),
    Case(
        "Google Workspace",
        "cat@example.org",
        True,
        "userunknown",
        """
Return-Path: <>
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: bounces@news.example.com
Subject: Delivery Status Notification (Failure)
X-Failed-Recipients: cat@example.org
Auto-Submitted: auto-replied

** Address not found **

Your message wasn't delivered to cat@example.org because the address couldn't be found, or is unable to receive mail.

The response from the remote server was:
550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's \
email address for typos
""",
    ),
    Case(
        "Gmail, a full mailbox",
        "cat@gmail.com",
        False,
        "mailboxfull",
        """
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
X-Failed-Recipients: cat@gmail.com
Subject: Delivery Status Notification (Failure)
To: bounces@news.example.com

The recipient's inbox is out of storage space and inactive.

Learn more here: https://support.google.com/mail/?p=OverQuotaPerm

The response was:

552 5.2.2 The recipient's inbox is out of storage space and inactive. Please direct the recipient to \
https://support.google.com/mail/?p=OverQuotaPerm
""",
    ),
    Case(
        "Exim, the domain of a sender that has no mail",
        "cat@example.org",
        False,
        "rejected",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
X-Failed-Recipients: cat@example.org
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  cat@example.org
    host mx.example.org [192.0.2.7]
    SMTP error from remote mail server after RCPT TO:<cat@example.org>:
    550 5.1.8 <weekly@news.example.com>: Sender address rejected: Domain not found
""",
    ),
    Case(
        "Exim, an unrouteable address",
        "cat@example.org",
        True,
        "hostunknown",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
X-Failed-Recipients: cat@example.org
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  cat@example.org
    Unrouteable address
""",
    ),
    Case(
        "qmail, after the text",
        "cat@example.org",
        False,
        "filtered",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
Subject: failure notice

Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<cat@example.org>:
192.0.2.9 failed after I sent the message.
Remote host said: 550 mailbox unavailable, no such user
""",
    ),
    Case(
        "qmail, a mailbox that is not there",
        "cat@example.org",
        True,
        "userunknown",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
Subject: failure notice

Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<cat@example.org>:
Sorry, no mailbox here by that name. (#5.1.1)
""",
    ),
    Case(
        "a list of blocked hosts, in words that name an unknown user too",
        "user.unknown@example.org",
        False,
        "blocked",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
Subject: Undelivered Mail Returned to Sender

This is the mail system at host mx.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

<user.unknown@example.org>: host mx.example.org[192.0.2.7] said:
    554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org (in reply to RCPT TO \
command)
""",
    ),
    Case(
        "greylisting that was given up",
        "cat@example.org",
        False,
        "userunknown",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
Subject: Undelivered Mail Returned to Sender

This is the mail system at host mx.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

<cat@example.org>: host mx.example.org[192.0.2.7] said:
    450 4.1.1 <cat@example.org>: Recipient address rejected: User unknown (in reply to RCPT TO command)
""",
    ),
    Case(
        "Exchange Online at its edge",
        "cat@example.org",
        True,
        "userunknown",
        """
From: postmaster@example.org
To: bounces@news.example.com
Return-Path: <>
Subject: Undeliverable: Issue 12

Delivery has failed to these recipients or groups:

cat@example.org
Your message wasn't delivered because the recipient's email provider rejected it.

Remote Server returned '550 5.4.1 Recipient address rejected: Access denied. AS(201806281) \
[XX.eop-nam02.prod.protection.outlook.com]'
""",
    ),
    Case(
        "Yahoo",
        "cat@yahoo.com",
        True,
        "userunknown",
        """
Return-Path: <>
From: MAILER-DAEMON@yahoo.com
To: bounces@news.example.com
Subject: Failure Notice

Sorry, we were unable to deliver your message to the following address.

<cat@yahoo.com>:
554: delivery error: dd This user doesn't have a yahoo.com account (cat@yahoo.com) [0] - mta1085.mail.sp2.yahoo.com
""",
    ),
    Case(
        "Yahoo, an account that was closed for a while",
        "cat@yahoo.com",
        False,
        "suspend",
        """
Return-Path: <>
From: MAILER-DAEMON@yahoo.com
To: bounces@news.example.com
Subject: Failure Notice

Sorry, we were unable to deliver your message to the following address.

<cat@yahoo.com>:
554: delivery error: dd Sorry your message to cat@yahoo.com cannot be delivered. This account has been disabled \
or discontinued [#102].
""",
    ),
    Case(
        "sendmail, long ago",
        "cat@example.org",
        True,
        "userunknown",
        """
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>
Subject: Returned mail: User unknown
To: bounces@news.example.com

   ----- Transcript of session follows -----
... while talking to mx.example.org:
>>> RCPT To:<cat@example.org>
<<< 550 <cat@example.org>... User unknown
550 <cat@example.org>... User unknown

   ----- Unsent message follows -----
""",
    ),
    Case(
        "Courier",
        "cat@example.org",
        True,
        "userunknown",
        """
From: mailer-daemon@mx.example.net
Subject: NOTICE: mail delivery status.
To: bounces@news.example.com

This is a delivery status notification from mx.example.net,
running the Courier mail server.

The original message was received on Thu, 29 Apr 2010

UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<cat@example.org>:
    mx.example.org [192.0.2.7]:
>>> RCPT TO:<cat@example.org>
<<< 550 5.1.1 <cat@example.org>... User Unknown
""",
    ),
    Case(
        "a name server that does not answer",
        "cat@example.org",
        False,
        "networkerror",
        """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@news.example.com
Subject: Undelivered Mail Returned to Sender

This is the mail system at host mx.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

<cat@example.org>: Host or domain name not found. Name service error for
    name=example.org type=MX: Host not found, try again
""",
    ),
)
"""Reports of one refused recipient each."""
