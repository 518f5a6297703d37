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
        "|view more|open|full article|full story|article|this article|this post|post|download|watch|listen|start now"
        "|sign up|register|subscribe|apply|join us|try it".split("|"),
        *"ici|cliquez ici|lire|lire la suite|lire plus|en savoir plus|voir|voir plus|suite|la suite|lien|ce lien|plus"
        "|hier|hier klicken|klicken sie hier|mehr|mehr lesen|mehr erfahren|weiterlesen|weiter|aquí|haz clic aquí"
        "|leer más|más|ver más|qui|clicca qui|leggi|leggi di più".split("|"),
        *"点击|点击这里|点这里|这里|点此|点击此处|此处|链接|阅读|阅读更多|更多|查看更多|详情|查看详情|了解更多|全文|阅读全文"
        "|原文|阅读原文|こちら|ここ|続きを読む|詳細|もっと見る|여기|더 보기|자세히 보기".split("|"),
    )
)
"""What links read that say nothing of where they lead, in lower case and without punctuation."""

PLACEHOLDERS = (
    r"\bTKTK\b|\bTK(?: TK)+\b|\[TK[^\]]*\]|\bTK\b(?! ?\d)(?=[\s.,:;)!?]|$)",
    r"\b(?:TODO|FIXME|TBD)\b ?[:：]|\[(?:TODO|FIXME|TBD)[^\]]*\]|^(?:TODO|FIXME|TBD)\b",
    r"\blorem ipsum\b|\bdolor sit amet\b",
    r"\[(?:insert|placeholder)\b[^\]\n]{0,60}\]|\bplaceholder text\b",
    r"\[(?:your|add) (?:name|text|company|title|link|headline|story|e-?mail|image|photo)\b[^\]\n]{0,40}\]",
    r"\bXXXX+\b|(?<![\w!?？！])\?{3,}",
    r"此处填写|待补充|待填写|（待定）|\[待定\]",
)
"""What editors write where words are still to come; each is searched for in text without code."""
PLACEHOLDER_HINTS = (
    "TK",
    "TODO",
    "FIXME",
    "TBD",
    "[",
    "XXXX",
    "???",
    "此处",
    "待",
    "placeholder",
    "orem",
    "OREM",
    "dolor sit",
)
"""One of these stands in every placeholder; looking for them costs next to nothing."""
SCAFFOLD = (
    "Open with a word to your readers: a paragraph or three, any Markdown.",
    "The line that mail clients show after the subject.",
    "One to three sentences: what happened, and why it matters to your readers.",
    "A headline that says what happened",
    "A line that says it all.",
    "A short piece of news",
    "One line more, where it needs one.",
    "What this issue is about",
)
"""What 'newsletter new' writes into an empty issue."""

FOREIGN_FIELDS = (
    r"\*?\|[A-Z][A-Z0-9_:]{2,}\|\*?",
    r"%%[A-Za-z_][\w.]*%%|%[A-Za-z_]+\.[A-Za-z_.]+%",
    r"\{\{[^{}\n]*\}\}|\{%-?[^{}\n]*%\}|<%[^%\n]*%>",
    r"\$?\{(?:first_?name|last_?name|full_?name|name|f?name|email|subscriber)\}",
    r"\[(?:FIRST ?NAME|LAST ?NAME|FNAME|LNAME|NAME|EMAIL|UNSUBSCRIBE)\]|\[%[^%\]\n]*%\]",
)
"""Merge fields as other programs write them; here they would be printed as they stand."""

SPONSOR_WORDS = (
    r"\bsponsor(?:s|ed)?\b|\badvertisement\b|\badvertorial\b|\bpromoted by\b|\bpaid (?:post|partnership|content)\b"
    r"|\bpartner content\b|\bfrom our partners?\b|\bsponsoris[ée]e?s?\b|\bpublirédactionnel\b|\bcommandité\b"
    r"|\bgesponsert\b|\bpatrocinad[oa]s?\b|赞助|贊助|スポンサー|협찬|^(?:ads?|advertising|anzeige|publicité|publicidad)$"
    r"|^(?:广告|廣告|推广|広告|광고)$"
)
"""What says of a section or an article that somebody paid for it."""

ALT_DEFAULTS = (
    r"(?:image|img|photo|picture|pic|graphic|figure|fig|screenshot|screen shot|banner|logo|icon|thumbnail|untitled|alt"
    r"|alt text|description|图片|图|图像|截图|照片|插图|画像|写真|사진|이미지|bild|foto|imagen|photographie|capture)"
    r"[\s_.-]*\d*"
)
"""What programs, or hands in a hurry, write for the description of a picture."""

FUNCTION_WORDS = {
    "en": "the of and to in is that for it with as was on are this be by have from which",
    "fr": "le la les des et du en une est que dans pour qui sur au par avec pas sont aux",
    "de": "der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch",
    "es": "el la los de que y en las del se por con una para es al como más sus pero",
    "it": "il di che la e per un non della sono le con una da nel alla più gli dei delle",
    "pt": "o de que e do da em um para com não uma os no se na por mais dos como",
    "nl": "de het een van en in is dat op te zijn met voor niet aan er om ook als maar",
}
"""The commonest small words of languages that share an alphabet."""

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january janvier januar enero gennaio janeiro januari jan",
            "february février februar febrero febbraio fevereiro februari feb",
            "march mars märz marzo março maart mar",
            "april avril abril aprile apr",
            "may mai mayo maggio maio mei",
            "june juin juni junio giugno junho jun",
            "july juillet juli julio luglio julho jul",
            "august août agosto augustus aug",
            "september septembre septiembre settembre setembro sept sep",
            "october octobre oktober octubre ottobre outubro oct",
            "november novembre noviembre novembro nov",
            "december décembre dezember diciembre dicembre dezembro dec",
        ),
        1,
    )
    for name in names.split()
}
"""Names of the months by which dates are found in text."""
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday mon lundi montag lunes lunedì 星期一 周一",
            "tuesday tue mardi dienstag martes martedì 星期二 周二",
            "wednesday wed mercredi mittwoch miércoles mercoledì 星期三 周三",
            "thursday thu jeudi donnerstag jueves giovedì 星期四 周四",
            "friday fri vendredi freitag viernes venerdì 星期五 周五",
            "saturday sat samedi samstag sábado sabato 星期六 周六",
            "sunday sun dimanche sonntag domingo domenica 星期日 周日 星期天",
        )
    )
    for name in names.split()
}
"""Names of the weekdays, from Monday, which is 0."""
