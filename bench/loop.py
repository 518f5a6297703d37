"""Send finished messages with the standard library's smtplib, one after the other over one connection: a peer.

``python bench/loop.py PORT COUNT SIZE`` makes the messages first, then sends, and prints JSON: seconds of the sending,
and CPU seconds of the process meanwhile. It keeps no ledger, and would not know whom it had mailed.
"""

import json
import resource
import smtplib
import sys
import time

from mailing import messages
from personalise import IDENTITY


def main() -> None:
    """Send, and print what that took."""
    port, count, size = map(int, sys.argv[1:])
    made = list(messages(count, size))
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client") as client:
        for address, content in made:
            client.sendmail(IDENTITY.bounce_address, [address], content)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"sent": count, "seconds": seconds, "user_s": after.ru_utime - before.ru_utime}))


if __name__ == "__main__":
    main()
