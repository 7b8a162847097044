"""What the corpus is written with: words, names and domains of its made-up mail."""

from __future__ import annotations

_ENGLISH = (
    "account active address after agenda agreement amount annual answer approve april attach august balance bank "
    "before begin board book branch budget build business call cancel card carry change charge check city claim "
    "clear close code come commit company confirm contact contract copy cost count cover create credit customer "
    "data date deal december deliver design detail director discount document draft drive email employee energy "
    "engine enjoy event every example expect february file final finance find first follow forward free friday "
    "future general global goods great group guide hello help high holiday home hotel hour house idea important "
    "include income information internal invoice issue item january join july june just keep know label large "
    "last launch leave legal letter level line list live local long look main make manage march market meeting "
    "member message minute monday money month more morning need network never next note notice november number "
    "october offer office online open option order other page paper part partner pay payment people period person "
    "phone place plan please point policy post press price print product profile program project proposal public "
    "purchase quality quarter question quick rate read ready receipt record reference regard register remember "
    "reminder renew reply report request reserve result return review room safe sale saturday schedule season "
    "secure select send september service session share ship short sign site small social space special staff "
    "start state station still stock stop store street subject sunday supply support system table talk task team "
    "term test thank thursday ticket time today tomorrow total tour track trade train transfer travel tuesday "
    "update urgent user value version view visit want warranty website wednesday week welcome window work world"
)
_ACCENTED = (
    "für größe straße später müssen façade café déjà naïve señor niño corazón über geschäft büro qualität élève "
    "garçon œuvre smörgås København Łódź Gdańsk čeština žluťoučký"
)
WORDS = tuple(_ENGLISH.split())
WORDS_8BIT = WORDS[:120] + tuple(_ACCENTED.split())
JAPANESE = "お世話になっております。本日の会議の資料を添付いたします。ご確認のほどよろしくお願い申し上げます。"
NAMES = (
    "Anna Berg", "João Silva", "Müller, Hans", "Li Wei", "Sarah O'Neil", "山田太郎", "Olga Petrova", "Billing",
    "The Example Team", "no-reply", "Łukasz Nowak", "Mary-Jane W. Watson", "François Dupont",
)  # fmt: skip
DOMAINS = (
    "example.com", "mail.example.org", "corp.example.net", "news.shop.example", "lists.example.edu",
    "bounce.mkt.example.com", "example.co.jp", "example.de",
)  # fmt: skip
ATTACHMENTS = (
    ("pdf", "application/pdf"), ("png", "image/png"), ("jpg", "image/jpeg"), ("ics", "text/calendar"),
    ("zip", "application/zip"), ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
)  # fmt: skip
