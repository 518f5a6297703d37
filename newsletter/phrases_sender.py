"""Hold the words by which servers say that we are meant: the sender, the relay, its address, or this message.

Pure data, read by ``dsn_verdict``; the form is ``phrase_table``'s. These say nothing about the subscriber.
"""

from collections.abc import Mapping

from newsletter.phrase_table import phrases

SENDER: Mapping[str, tuple[str, ...]] = {
    "norelaying": phrases(
        """
~relay(ing)?( access| is| operation| to this domain)* (denied|not permitted|not allowed|prohibited\
|rejected|refused|forbidden|not supported)
as a relay
cannot relay
can't relay
email address is not verified
insecure mail relay
is not permitted to relay
isn't in my list of allowed rcpthosts
mail server requires authentication when attempting to send to a non-local
no relaying
not a gateway
not allowed to relay
not an open relay
not local host
not permitted to relay
relay not permitted
relaying blocked
relaying not allowed
send to a non-local e-mail address
that domain isn't allowed to be relayed
this system is not configured to relay mail
to relay through
unable to relay
we do not relay
we don't relay
you are not allowed to relay
        """
    ),
    "requireptr": phrases(
        """
~(ptr|reverse dns|rdns|reverse lookup|reverse-dns)\\b
all mail servers must have a ptr
can't resolve hostname
cannot find your hostname
cannot find your reverse hostname
cannot resolve your address
client ip address does not resolve
ip name lookup failed
mismatches client ip
client must pass reverse dns test
dns lookup failure: [
hostname verification failed
no matches to nameserver query
unresolvable relay host name
unverifyable sending ip
your ip address is not resolv
your server does not have a
        """
    ),
    "authfailure": phrases(
        """
~\\b(spf|dkim|dmarc|arc)\\b
authentication-results
authentication checks
because the sender is unauthenticated
email is unauthenticated
sender id (pra)
sender policy framework
sender authentication
unauthenticated email
unauthenticated mail
does not have authentication information
verification of the sender's domain failed
        """
    ),
    "badreputation": phrases(
        """
~\\breputation\\b
has been temporarily rate limited due to ip
temporarily deferred due to user complaints
        """
    ),
    "virusdetected": phrases(
        """
~\\b(virus|viruses|malware|trojan|infected|clamav)\\b
because this email contains an attachment that
potential security risk
        """
    ),
    "spamdetected": phrases(
        """
~\\b(spam|ube|uce|spamassassin|dspam|antispam|anti-spam|spammy|junk mail|junkmail|bulk mail)\\b
blacklisted url
classified as bulk
content rejected
identified as bulk
looks like unsolicited
message filtered
rejected as bulk
rejected by content scanner
rejected due to content
rejecting banned content
our filters rate at and above
unsolicited
using known bad
        """
    ),
    "rejected": phrases(
        """
~(sender|from|return-path|return path|envelope sender|mail from|sender's|originator)( address| domain\
| e-?mail address| verify| verification| callout| mailbox| user)*( is| has been| was)*:? ?(rejected\
|denied|refused|invalid|failed|unknown|not accepted|not allowed|blocked|does not exist|doesn't exist\
|not found|cannot be verified|unverified|could not be verified|not verified)
~temporarily deferred due to
access denied (in reply to mail from
address not present in directory
bad address syntax for sender
but sender was rejected
by non-member
cannot resolve your domain
could not verify the sender
domain of sender
does not accept mail from (
does not like sender
email server is not authorized to send
from domain
has not been authorized to send
invalid domain, see
invalid sender
invalid return
mail from not owned by user
messages temporarily deferred due to unexpected volume
only accepts messages from
permission to post
permissions to post
recipient not accepted. (batv
rejected mail from
sender address rejected
sender domain
sender is denied
sender is in my
sender mailbox
sender not allowed
sender rejected
sender unknown
sender verify failed
sender was rejected
sending this from a different address
server rejected mail from
that address is not allowed to send
unable to verify sender
unresolvable sender
you are not allowed to post
you are not allowed to send mail from
you're using an email address
your email address has been blacklisted
your sender address
        """
    ),
    "blocked": phrases(
        """
~\\b(rbl|dnsbl|spamhaus|spamcop|barracuda|sorbs|abuseat|mailspike|uceprotect|senderbase|cloudmark)\\b
~black-? ?list
~block-? ?list
~(client|ip|ip address|host|connection)( is| has been| was|es are)* (blocked|banned|denied|rejected\
|refused)
~(?<!not )listed (in|at|on|by)\\b
access denied. ip name lookup failed
bad sender ip
banned sending ip
blocked by
blocked for abuse
blocked using
blocked - see
client host rejected
client rejected
closing transmission channel
connect from your host
connection dropped
connection refused from
connections not accepted from
connections will not be accepted from
dynamic ip
email blocked
helo command rejected
invalid ip for sending
ip blocked
is in a black
is in my black
is listed
is not allowed to connect
mail server at [
messages from your ip
network is on our block
no access from mail server
not accepted from your ip
not currently accepting mail from your ip
part of their network is on our
refused to talk to me
rejected because the sending mta
sending ip
sender ip
server ip
service refused
service unavailable; client host
temporarily blocked
too many spams from your ip
unsolicited mail originating from your ip
we do not accept mail from
we're sorry, but we will not accept
your access to this mail system has been rejected
your ip
your email server
your mail server
your network
your server
        """
    ),
    "notcompliantrfc": phrases(
        """
~rfc ?-?\\d{3,4}.{0,40}complian
~complian.{0,40}rfc ?-?\\d{3,4}
messages missing a valid address in from
messages with multiple addresses in from
multiple addresses in from
duplicate message-id header
missing a valid message-id
https://support.google.com/mail/?p=rfcmessagenoncompliant
        """
    ),
    "mesgtoobig": phrases(
        """
~(message|mail|e-?mail|body|content)( size| file| data| header size)*( is| was)?( too| larger\
| bigger) (big|large|long|than)
exceeded maximum inbound message size
exceeds fixed maximum message size
exceeds maximum message size
exceeds message size limit
exceeds size limit
exceeds the maximum size
line limit exceeded
mail size limit exceeded
message exceeds max
message size exceeds
message too big
message too large
message too long
recipsizelimit
max message size exceeded
size limit exceeded
taille limite du message atteinte
        """
    ),
    "securityerror": phrases(
        """
account not subscribed to ses
authentication credentials invalid
authentication failure
authentication failed; server
authentication required
authentication turned on in your email client
cannot authenticate
insecure connection
must issue a starttls
not authorized to send
not authorised to send
resolver.rst.authrequired
resolver.rst.notauthorized
starttls
tls is required
tls required
unauthenticated senders not allowed
user is not authorized to perform ses:sendrawemail
you are not authorized to send mail, authentication is required
you have exceeded the the maximum login attempts
        """
    ),
    "contenterror": phrases(
        """
~(invalid|bad|missing|duplicate|improper|illegal)( mail| message| mime)* header
8bitmime
attachment
body of your message contains
charset not supported
duplicate header
executable file
header error
header size exceeds
improper use of 8-bit data
mail with no content
message contains
message header size
message mime complexity
message was blocked because its content
message content rejected
nul characters
too many "received" headers
too many hops for this
unsupported content
we don't accept email with executable content
        """
    ),
    "ratelimited": phrases(
        """
~(too many|excessive|maximum) (messages|mails|emails|errors|unknown users|login|failed|connections per)
~rate limit
~throttl
frequency limited
greylist
graylist
grey-list
has exceeded the max emails per hour
mail sent from your ip address exceeded
receiving mail at a rate
receiving mail too quickly
sending mail too fast
slow down
user is receiving mail at a rate that
you are sending too
        """
    ),
    "toomanyconn": phrases(
        """
~too many (concurrent |simultaneous |smtp )*(connections|sessions|processes)
all available ips are at maximum connection limit
connection rate limit exceeded
domain is currently processing maximum connections
exceeds per-domain connection limit
max connections
maximum number of connections
simultaneous connection
no ips available [-
        """
    ),
    "policyviolation": phrases(
        """
~(administrative|administratively|policy|local policy) (prohibi|restriction|violat|reject|reason)
by policy
host network not allowed
closed at our request
content-filter
denied by policy
does not meet the policy
email not accepted for policy
email rejected due to security policies
for policy reasons
invalid headers
local policy
message bounced due to organizational settings
message not accepted for policy
message given low priority
message held
message rejected due to
message was rejected by organization policy
policy blocks
policy reject
protocol violation
prohibited by administrator
rule imposed mailbox access for
transaction failed: policy
violat
you have exceeded the allowable number of posts without solving a captcha
        """
    ),
}
"""Words about the sender, the relay or the message: policy, whatever the status says; looked for in this order."""
