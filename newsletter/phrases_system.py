"""Hold the words by which servers speak of machines and lines, theirs or ours: soft, and looked for last.

Pure data, read by ``dsn_verdict``; the form is ``phrase_table``'s.
"""

from collections.abc import Mapping

from newsletter.phrase_table import phrases

SYSTEM: Mapping[str, tuple[str, ...]] = {
    "expired": phrases(
        """
~delivery failed \\d+ attempts
after multiple retries
did not accept our requests
giving up
stopped attempting
been in the queue too long
connection timed out
could not be delivered for more than
could not be delivered for too long
delivery expired
delivery time expired
delivery timed out
failing for a long time
has been frozen
has been on the queue
has been delayed
has not yet been delivered
it has not been collected after
message could not be delivered for
message expired
message has been in the queue
message timed out
not been delivered within
operation timed out
over the last
queue lifetime
retry time not reached
retry timeout exceeded
retry timeout expired
server did not respond
this message has been in
time out
timed out
too long
undeliverable for
unable to deliver this message after
was not reachable within
wasn't able to establish an smtp connection
i'm going to keep trying
will be retried
your message could not be delivered for
        """
    ),
    "networkerror": phrases(
        """
~connection (refused|reset|was refused|was dropped|lost|closed|aborted)
bad connection
can't connect
cannot connect
~\\bconnect to\\b
connection died
could not connect
delivery temporarily suspended
dns records for the destination computer could not be found
dns records
dns server
domain name server
hop count exceeded
host is unreachable
host is down
host name lookup failure
host not responding
host unreachable
loops back to myself
loop detected
lost connection
mail forwarding loop
mail loop
mail loops
malformed or unexpected name server reply
message probably in a routing loop
network error
network is unreachable
network unreachable
no route to host
routing loop
server not responding
temporary dns
too many hops
unable to connect
unable to resolve route
unreachable
unrouteable mail
        """
    ),
    "systemfull": phrases(
        """
disk full
insufficient system resources
insufficient system storage
mail system full
no space left on device
requested mail action aborted: exceeded storage allocation
        """
    ),
    "mailererror": phrases(
        """
~(mailer|pipe|procmail|mail\\.local|delivery agent|command|program)[^.]{0,40}(exit|died|failed\
|terminated|status|output|error|crashed)
x-unix;
x-mailer
        """
    ),
    "systemerror": phrases(
        """
aliasing/forwarding loop
can't create
can't open
cannot create
cannot open
cannot forward
config error
configuration error
duplicated message-id
i/o error
input/output error
interal error
internal error
internal server error
internal system error
internal software error
interrupted system call
local configuration error
local error
mail system configuration
mail transport unavailable
operation not currently possible
out of memory
permission denied
proxy session setup failed
recipient deferred because there is no
remote protocol error
server configuration
service currently unavailable
service unavailable
system config
system error
temporary local problem
timeout waiting for input
transaction failed
unable to set
unexpected failure
could not load
        """
    ),
    "onhold": phrases(
        """
on hold
        """
    ),
    "syntaxerror": phrases(
        """
~(bad|improper|out of|wrong) sequence of commands
bad syntax
command not recognized
command not implemented
command unrecognized
invalid parameters
syntax error
unrecognized command
unrecognised command
syntactically invalid
improper command
        """
    ),
}
"""Words about machines and lines."""
