"""Hold the words by which servers say that a mailbox is there and takes this mail, or any mail, no longer.

Pure data, read by ``dsn_verdict``; the form is ``phrase_table``'s. These are soft, and stronger than a status: servers
put 5.1.1 beside a full mailbox.
"""

from collections.abc import Mapping

from newsletter.phrase_table import phrases

MAILBOX: Mapping[str, tuple[str, ...]] = {
    "mailboxfull": phrases(
        """
~mail ?(box|folder|dir)s?( of (the )?(user|recipient))?( is| has been| was| for user is)?( currently\
| temporarily| almost| too)? full
~(over|exceed(s|ed|ing)?|out of|above|beyond)( the| its| his| their| allowed| allocated| maximum| max\
| mail ?box| disk| storage| user)* (quota|storage)
~(quota|storage)( limit| space| has been| is| size| for this user| for user)* (exceed|full|reached\
|violat|exhausted)
account is full
account is over quota
boite du destinataire pleine
boîte du destinataire pleine
boite aux lettres pleine
casella piena
delivery would exceed
disk quota
does not have enough space
exceed mailbox quota
exceeded the space
exceeds allowed mailbox space
full mailbox
has exceeded the limit
has exhausted allowed storage space
inbox is full
insufficient disk space
insufficient mailbox
insufficient quota
insufficient storage space
is full.
mail box full
mailbox exceeds
mailbox has exceeded
mailbox size limit
mailbox_full
mailfolder is full
maildir over quota
maildir overquota
no space for this user
no space left in mailbox
not enough disk space
not enough free space
not enough storage space
over quota
overquota
quota exceed
quota full
recipient storage full
shutoffquotaexceeded
space has been used up
storage quota
temporarily over quota
the email account that you tried to reach is over
too much mail data
user has too many messages
user is over the quota
user's disk quota
would be over the allowed quota
превышен лимит
ящик переполнен
容量が一杯
メールボックスの容量
邮箱空间不足
邮箱已满
        """
    ),
    "exceedlimit": phrases(
        """
message length exceeds administrative limit
message exceeds administrative limit
too many recipients
        """
    ),
    "suspend": phrases(
        """
~(account|mailbox|user|recipient|address|login)( that you tried to reach)?( is| has been| was\
|'s account is| account is)?( currently| temporarily| administratively| permanently)* (disabled\
|suspended|inactive|locked|deactivated|frozen|blocked by admin)
account closed due to inactivity
account expired
account has expired
archived recipient
boite du destinataire archivee
boîte du destinataire archivée
currently not permitted to receive
customer has suspended
deactivated mailbox
disabled due to inactivity
disabled or discontinued
disabled recipient
disabled user
domain is currently suspended
due to extended inactivity
email account has been suspended
email is currently suspended
has been administratively disabled
inactive account
inactive for too long
inactive mailbox
inactive user
invalid/inactive user
is a deactivated
mailbox inactive
mailbox unavailable or access denied
not accepting mail at this time
recipient suspend
sender recipient address disabled
suspended account
temporarily inactive
this account is not allowed to receive
usuario desactivado
        """
    ),
    "filtered": phrases(
        """
because the recipient is not accepting mail with
because the recipient is only accepting mail from
account is protected by
bounced by the recipient's mail filter
due to recipient preferences
has protected their mailbox
is not accepting any mail
not accepting mail from you
only accepts mail from
permanent failure for one or more recipients
recipient address refused
recipient does not want
recipient has blocked
recipient id refuse to receive mail
recipient refuses to accept your mail
refused by the recipient
refused due to recipient preferences
rejected by the recipient's settings
user does not accept
user has blocked
user refuses to receive
user reject
you have been blocked by the recipient
        """
    ),
}
"""Words about a mailbox that exists: soft; looked for first."""
