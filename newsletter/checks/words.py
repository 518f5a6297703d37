"""Hold the words that checks look for: shorteners, links that say nothing, placeholders, sponsors; tables only."""

SHORTENERS = frozenset(
    "bit.ly bitly.com j.mp tinyurl.com goo.gl t.co ow.ly is.gd v.gd buff.ly dlvr.it ift.tt lnkd.in rebrand.ly"
    " rb.gy cutt.ly shorturl.at tiny.cc t.ly tr.im su.pr bl.ink trib.al fb.me wp.me amzn.to a.co nyti.ms"
    " reut.rs bbc.in cnn.it wapo.st spoti.fi apple.co g.co dpaq.de t.cn url.cn dwz.cn suo.im 163.fm w.url.cn"
    " short.io s.id soo.gd qr.ae clck.ru vk.cc x.gd hubs.ly hubs.la mailchi.mp eepurl.com".split()
)
"""Hosts whose addresses say nothing of where they lead."""

GENERIC_WORDS = frozenset(
    (
        *"here|click|click here|this|link|this link|the link|read|read more|read on|more|learn more|see more"
        "|find out more|go|url|website|site|details|more details|more info|info|continue|continue reading|view"
        "|view more|open|full article|full story|article|this article|this post|post|download|watch|listen".split("|"),
        *"ici|cliquez ici|lire|lire la suite|lire plus|en savoir plus|voir|voir plus|suite|la suite|lien|ce lien|plus"
        "|hier|hier klicken|klicken sie hier|mehr|mehr lesen|mehr erfahren|weiterlesen|weiter|aquí|haz clic aquí"
        "|leer más|más|ver más|qui|clicca qui|leggi|leggi di più".split("|"),
        *"点击|点击这里|点这里|这里|点此|点击此处|此处|链接|阅读|阅读更多|更多|查看更多|详情|查看详情|了解更多|全文|阅读全文"
        "|原文|阅读原文|こちら|ここ|続きを読む|詳細|もっと見る|여기|더 보기|자세히 보기".split("|"),
    )
)
"""What links read that say nothing of where they lead, in lower case and without punctuation."""
