"""Undo what stands around a web address: tracking, redirectors, AMP and mobile hosts; pure, nothing is fetched.

``canonical_url`` gives the address to publish and to remember a story by; ``url_key`` what two of them are compared by.
Parameters are dropped only where a table names them: a parameter that is not known may be the article itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_Parts = tuple[str, str, str, str, str]
"""Scheme, host with port, path, query and fragment."""
_URL_LIMIT = 4000
_UNWRAPPINGS = 5
"""Redirectors inside one another that are undone."""
_DEFAULT_PORTS = {"http": 80, "https": 443}

_TRACKING = frozenset(
    "__s __twitter_impression _ga _gl _openstat at_campaign at_medium cmp cmpid dclid dm_i ef_id emc epik"
    " fb_action_ids fb_action_types fb_ref fb_source fbclid ftag gbraid gclid gclsrc guccounter guce_referrer"
    " guce_referrer_sig hsctatracking igsh igshid li_fat_id mc_cid mc_eid mkt_tok msclkid ncid ns_campaign ns_fee"
    " ns_linkname ns_mchannel ns_source oly_anon_id oly_enc_id partner rb_clickid ref_src ref_url rss_id s_cid"
    " s_kwcid sc_cid scm share_token smid soc_src soc_trk spm sr_share srsltid trk_contact trk_module trk_msg"
    " trk_sid ttclid twclid vero_conv vero_id wbraid wickedid wt_mc wtmc xtor yclid ysclid".split()
)
_TRACKING_PREFIXES = ("utm_", "mtm_", "pk_", "piwik_", "matomo_", "hsa_", "_hs", "itm_", "at_custom", "ga_", "guce_")
_TRACKING_OF = {
    "youtube.com": {"feature", "si", "pp", "ab_channel"},
    "youtu.be": {"feature", "si"},
    "open.spotify.com": {"si"},
    "x.com": {"s", "t"},
    "twitter.com": {"s", "t"},
    "medium.com": {"source", "sk"},
    "linkedin.com": {"trk", "trackingid", "lipi"},
    "reddit.com": {"share_id", "ref", "ref_source"},
    "mp.weixin.qq.com": {"chksm", "scene", "srcid", "sharer_shareinfo", "sharer_shareinfo_first", "key", "uin"},
    "bbc.co.uk": {"ocid"},
    "bbc.com": {"ocid"},
    "theguardian.com": {"cmp"},
    "amazon.com": {"tag", "ref", "ref_", "linkcode", "psc"},
}
"""Parameters that count nothing on one site, and may be the article on another."""

_TARGET_IN = {
    "google.com/url": ("url", "q"),
    "google.com/imgres": ("imgrefurl",),
    "news.google.com/news/url": ("url",),
    "bing.com/news/apiclick.aspx": ("url",),
    "l.facebook.com/l.php": ("u",),
    "lm.facebook.com/l.php": ("u",),
    "l.instagram.com": ("u",),
    "out.reddit.com": ("url",),
    "t.umblr.com/redirect": ("z",),
    "youtube.com/redirect": ("q",),
    "medium.com/r": ("url",),
    "slack-redir.net/link": ("url",),
    "steamcommunity.com/linkfilter": ("url", "u"),
    "vk.com/away.php": ("to",),
    "link.zhihu.com": ("target",),
    "zhihu.com/link": ("target",),
    "link.juejin.cn": ("target",),
    "exit.sc": ("url",),
    "duckduckgo.com/l": ("uddg",),
    "linkedin.com/redir/redirect": ("url",),
    "disq.us/url": ("url",),
    "feeds.feedblitz.com/~": ("url",),
}
"""Redirectors that carry their target in a parameter: host and path, and the parameters to look at in turn."""
_AMP_VALUES = {"amp": None, "outputtype": "amp", "amp_js_v": None, "amp_gsa": None, "usqp": None}
"""Parameters of AMP pages; None is any value."""
_MOBILE = re.compile(r"^(?:m|mobile|amp)\.|(?<=^[a-z]{2}\.)m\.")
_AMP_PATH = re.compile(r"/amp/?$|(?<=\.)amp\.(?=html?$)|\.amp$|^/amp(?=/.)")
_AMP_TARGET = re.compile(r"/(?:[cvi]|amp)(/s)?/(?=[^/]+\.[^/])")
_SITE = re.compile(r"^(?:www|m|mobile|amp)\.")
_INDEX = re.compile(r"/(?:index\.(?:html?|php))?$")
_HOST = re.compile(r"[a-z0-9_.-]+")
_REST = re.compile(r"https?:/{1,2}[^/]", re.IGNORECASE)
_BREAKS = re.compile(r"[\t\r\n]")
_HEX = re.compile(r"%[0-9A-Fa-f]{2}")
_HEX_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_PLAIN = re.compile(r"[A-Za-z0-9._~/:=&?+!$,;'@()*\[\]|-]*")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical_url(url: str) -> str:
    """Return the address that ``url`` leads to, without what only counts readers; ``""`` for none of the web.

    Redirectors that carry their target, AMP caches and pages, and mobile hosts are undone; scheme and host are written
    in lower case, the host in ASCII; a fragment goes unless it is a page of its own (``#!``).
    """
    parts = _canonical_parts(url)
    return urlunsplit(parts) if parts else ""


def url_key(url: str) -> str:
    """Return what the addresses of one page have in common, ``""`` for none of the web; it is no address itself.

    Left out are the scheme, ``www.``, a slash or ``index.html`` at the end, and the order of the parameters.
    """
    parts = _canonical_parts(url)
    if parts is None:
        return ""
    _, host, path, query, fragment = parts
    path = _INDEX.sub("", path)
    ordered = urlencode(sorted(_pairs(query))) if query else ""
    return f"{host.removeprefix('www.')}{path}{'?' if ordered else ''}{ordered}{'#' if fragment else ''}{fragment}"


def _canonical_parts(url: str) -> _Parts | None:
    """Return the parts of the address that ``url`` leads to, None for none of the web."""
    parts = _split(url)
    for _ in range(_UNWRAPPINGS):
        target = _target_of(parts)
        if target is None:
            break
        parts = target
    if parts is None:
        return None
    scheme, host, path, query, fragment = parts
    host, path = _without_mobile(host), _AMP_PATH.sub("", path) or "/"
    if query:
        kept = [(name, value) for name, value in _pairs(query) if not _counts_readers(host, name, value)]
        query = _query_text(query, kept)
    return scheme, host, path, query, fragment if fragment.startswith("!") else ""


def counts_readers(url: str) -> tuple[str, ...]:
    """Return the names of the parameters in ``url`` that only count readers."""
    parts = _split(url)
    if parts is None:
        return ()
    _, host, _, query, _ = parts
    return tuple(name for name, value in _pairs(query) if _counts_readers(host, name, value))


# ---------------------------------------------------------------------------------------------------------------------
# Parts of an address
# ---------------------------------------------------------------------------------------------------------------------


def _split(url: str) -> _Parts | None:
    """Return scheme, host with port, path, query and fragment, normalised (RFC 3986 section 6.2), or None."""
    url = _BREAKS.sub("", url.strip())
    if len(url) > _URL_LIMIT:
        return None
    try:
        parts = urlsplit(url)
        host, port = _ascii_host(parts.hostname or ""), parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host:
        return None
    if port and port != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    path = _without_dots(_encoded(parts.path)) or "/"
    return scheme, host, path, _encoded(parts.query), _encoded(parts.fragment)


def _ascii_host(host: str) -> str:
    host = host.rstrip(".").lower()
    if not host.isascii():
        host = host.encode("idna").decode("ascii")  # UnicodeError is a ValueError
    if ":" in host:
        return f"[{host}]"
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no host")
    return host


def _encoded(text: str) -> str:
    """Return text percent-encoded in one way: no more than needed, in upper case."""
    if _PLAIN.fullmatch(text):
        return text

    def one(run: re.Match[str]) -> str:
        return _HEX.sub(lambda found: _one_octet(found[0]), run[0])

    return quote(_HEX_RUN.sub(one, text), safe="%/:=&?~#+!$,;'@()*[]|")


def _one_octet(written: str) -> str:
    character = chr(int(written[1:], 16))
    return character if character in _UNRESERVED else written.upper()


def _without_dots(path: str) -> str:
    """Return a path without ``.`` and ``..`` (RFC 3986 section 5.2.4)."""
    if "/." not in path:
        return path
    kept: list[str] = []
    pieces = path.split("/")
    for piece in pieces:
        if piece == "..":
            kept = kept[: max(len(kept) - 1, 1)]
        elif piece != ".":
            kept.append(piece)
    end = "/" if pieces[-1] in (".", "..") else ""
    return "/".join(kept) + end


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=None)


def _query_text(query: str, kept: list[tuple[str, str]]) -> str:
    """Return the query with these pairs only, as it was written."""
    if len(kept) == len(_pairs(query)):
        return query
    return "&".join(piece for piece in query.split("&") if any(pair in kept for pair in _pairs(piece)))


def _site_of(host: str) -> str:
    return _SITE.sub("", host)


def _counts_readers(host: str, name: str, value: str) -> bool:
    key = name.lower()
    if key in _TRACKING or key.startswith(_TRACKING_PREFIXES) or key in _TRACKING_OF.get(_site_of(host), ()):
        return True
    return key in _AMP_VALUES and _AMP_VALUES[key] in (None, value.lower())


def _without_mobile(host: str) -> str:
    """Return the host of the full site; a host of two labels is left alone (``m.com``)."""
    bare = _MOBILE.sub("", host)
    return bare if bare.count(".") >= 1 else host


# ---------------------------------------------------------------------------------------------------------------------
# Redirectors
# ---------------------------------------------------------------------------------------------------------------------


def _target_of(parts: _Parts | None) -> _Parts | None:
    """Return where a redirector leads as far as its own address says, None where the address is of none."""
    if parts is None:
        return None
    _, host, path, query, _ = parts
    for find in (_in_parameter, _in_amp_cache, _in_path):
        target = find(host, path, query)
        if target and (found := _split(target)):
            return found
    return None


def _in_parameter(host: str, path: str, query: str) -> str:
    if not query:
        return ""
    site = _site_of(host)
    names: Iterable[str] = (
        _TARGET_IN.get(f"{site}{path.rstrip('/')}") or _TARGET_IN.get(site if path == "/" else "") or ()
    )
    if site.endswith(".safelinks.protection.outlook.com"):
        names = ("url",)
    if path == "/url" and re.fullmatch(r"(?:www\.)?google\.(?:[a-z]{2,3}\.)?[a-z]{2,3}", host):
        names = ("url", "q")
    values = dict(_pairs(query))
    return next((values[name] for name in names if values.get(name, "").lower().startswith("http")), "")


def _in_amp_cache(host: str, path: str, _query: str) -> str:
    """Undo ``example-com.cdn.ampproject.org/c/s/example.com/…`` and ``google.com/amp/s/example.com/…``."""
    is_cache = host.endswith(".cdn.ampproject.org") or _site_of(host) == "google.com"
    found = _AMP_TARGET.match(path) if is_cache else None
    return f"http{'s' if found[1] else ''}://{path[found.end() :]}" if found else ""


def _in_path(host: str, path: str, query: str) -> str:
    """Undo redirectors that have their target at the end of their path, such as Yahoo's and proofpoint's."""
    dotted = f".{host}"
    target = next((undo(path, query) for site, undo in _PATHS.items() if dotted.endswith(site)), "")
    return target if _REST.match(target) else ""


_PATHS: Mapping[str, Callable[[str, str], str]] = {
    ".rd.yahoo.com": lambda path, _query: unquote(path.partition("*")[2]),
    ".href.li": lambda _path, query: unquote(query),
    ".urldefense.com": lambda path, _query: path.partition("/v3/__")[2].partition("__;")[0],
}
"""Ends of hosts, and how the target is read off path and query."""
