"""Hold the words by which servers say that nobody can be reached at an address.

Pure data, read by ``dsn_verdict``; the form is ``phrase_table``'s. These are hard, unless something stronger is said.
"""

from collections.abc import Mapping

from newsletter.phrase_table import phrases

DEAD: Mapping[str, tuple[str, ...]] = {
    "hasmoved": phrases(
        """
~(mailbox|user|address|recipient|account)( has)? moved
account has been moved
address has changed
address has moved
has been replaced by
no forwarding address
        """
    ),
    "notaccept": phrases(
        """
~(domain|host|server|site|machine|system) (does not|doesn't|do not) accept (any )?e?mail\\b\
(?! (from|over|with|to|for|via|larger|unless|if|containing|sent|which|that|on|by|in))
does not accept mail: null mx
doesn't accept mail
host/domain does not accept mail
mx or srv record indicated no smtp service
name server: .: host not found
couldn't find a mail exchanger or ip address
no host found for existing smtp connection
null mx
nullmx
(mode: null mx)
        """
    ),
    "hostunknown": phrases(
        """
~(host|domain|domain name|hostname|recipient domain|mail domain|destination domain\
|destination server)( is| was| name)? (unknown|not found|not known|invalid|nonexistent|non-existent\
|does not exist|doesn't exist|not valid|cannot be found|couldn't be found|could not be found)
~(unknown|no such|nonexistent|non-existent|unrouteable|unroutable|illegal|invalid) (mail )?(host\
|domain)( name)?\\b
a host or domain name of the recipient
all host address lookups failed permanently
all relevant mx records point to non-existent hosts
bad destination host
bad destination system address
couldn't find any host
destination server is not found
dns error: domain name not found
domain does not exist
domain mentioned in email address is unknown
domain not exist
host or domain name not found
host unreachable: unknown
mail domain mentioned in email address is unknown
name or service not known
no valid hosts were found
nxdomain
name service error for
recipient address rejected: domain not found
unrouteable address
unroutable address
unrouteable mail domain
unknown destination host
couldn't find an mx
解決できません
ドメインが存在しません
        """
    ),
    "userunknown": phrases(
        """
~(user|mailbox|recipient|account|alias|username|userid|customer|addressee|local part|localpart\
|person)( name| id| address| account)?( [a-z0-9.*_-]+)?( is| was| are)?,? (unknown|not found|not known\
|invalid|nonexistent|non-existent|not existing|not exist|unrecognized|not recognized|not listed\
|undeliverable|illegal|not valid|does not exist|doesn't exist|couldn't be found|could not be found\
|wasn't found|not here|unavailable|not on server|no longer on server|not available)
~(no such|no|unknown|invalid|bad|illegal|nonexistent|non-existent|inexistent|undefined|unrecognized\
|non existing|wrong|not existing) (local |mail |e-?mail |virtual |or illegal )*(user|mailbox|mail box\
|mail-box|recipient|account|alias|username|userid|customer|addressee|local part|local-part|localpart\
|person|address|id)s?\\b
address couldn't be found
address could not be found
address does not exist
address doesn't exist
address error
address is not valid
address is unknown
address is invalid
address not found
address no longer accepts mail
address unknown
address wasn't found
adresse d au moins un destinataire invalide
adresse d'au moins un destinataire invalide
adresse inconnue
badrcptto
bad destination email address
bad destination mailbox address
can't accept user
destin. sconosciuto
destinatario sconosciuto
destinataire inconnu
destinatario desconocido
destination addresses were unknown
didn't find this user
does not have an email
does not have any email
email address does not exist
empfänger unbekannt
empfaenger unbekannt
inactive email address
invalid final delivery userid
is not a known user
is not a valid mailbox
is not a valid recipient
is not a valid user
is not a registered
is not a user
is not an active address
is not known at this
is not local
isn't in my mailbox list
list not found
mailbox does not exist
mailbox is not here
mailbox not present
mailbox unavailable
no mailbox by that name
no mailbox found
no mailbox here by that name
no mail box available for this user
no mailbox
no one by that name
no such contact
no such person
no thank you rejected: account unavailable
no users here by that name
non esiste
not a gmail user
not found by smtp address lookup
not listed in domino directory
not listed in public name & address book
not our customer
not recognised
not recognized
not unique
onbekende gebruiker
permanently removed
recipient address rejected: unknown
recipient could not be found
recipient is not local
recipient is not exist
recipient no longer on server
recipient not exists
recipientnotfound
recipnotfound
that user does not exist
the account doesn't exist
there is no one at this address
there is no user by that name
this user doesn't have
this user does not have
undeliverable address
unknown in local recipient table
unknown in relay recipient table
unknown in virtual alias table
unknown in virtual mailbox table
unknown adress
user does not exist
user doesn't exist
user has no mailbox
user not exist
user unknown
usuario desconocido
utilisateur inconnu
utente sconosciuto
wasn't found at
we do not have a mailbox
who does not exist
не существует
не найден
нет такого пользователя
宛先不明
該当するユーザ
存在しません
存在しない
見つかりません
用户不存在
收件人不存在
邮箱不存在
사용자가 없
        """
    ),
}
"""Words about an address that is dead: hard, unless something stronger says otherwise."""
