"""Account search: finds the accounts for an id, address, name, code or number from a ticket."""

import re
import string
from collections.abc import Iterable
from heapq import merge
from itertools import groupby, islice
from typing import NamedTuple

from mana_credits.back_office.account import exact_matches, similar_matches
from mana_credits.back_office.account.matches import Matches, SearchResult

MOST = 20
ADDRESS_AFTER_A_NAME = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
INVISIBLE = "\u200b\u2060\ufeff"
QUOTES = "\"'`“”„‘’«»‹›"  # noqa: RUF001  # they are meant
AROUND = string.whitespace + INVISIBLE + QUOTES + "<>()[]{}*,;:.!?"


class SearchPage(NamedTuple):
    """Accounts by user id, and the `after` of the next page, or "" at the end."""

    hits: list[SearchResult]
    next: str = ""


def find(text: str, *, after: str = "") -> SearchPage:
    """Return the accounts that `text` may refer to, each once, at most 20 after the id `after`.

    A complete user id, row id, Stripe id, e-mail address or gift code finds only its accounts. If
    there are none, `text` is a part of an address, of a name or of a ticket, the beginning of a
    user id, the end of a gift code, the number of a purchase, or the name of a campaign.
    """
    typed = text.strip()
    if not typed:
        return SearchPage([])
    pasted = _unquoted(typed) or typed
    # A complete id must not show accounts that contain it by chance. Asked without `after`, so that
    # the second page comes from the same kind of match as the first. As typed first, because an id
    # may begin or end with any character.
    for wanted in dict.fromkeys((typed, pasted, _end_of_link(pasted) or typed)):
        first = _page(exact_matches.of(wanted), "")
        if first.hits:
            return _page(exact_matches.of(wanted), after) if after else first
    return _page(similar_matches.of(pasted), after)


def _unquoted(text: str) -> str:
    """Return `text` without what surrounds it in an e-mail: quotes, brackets, `mailto:`, a name."""
    if address := ADDRESS_AFTER_A_NAME.search(text):
        return address[1]
    return text.strip(AROUND).removeprefix("mailto:")


def _end_of_link(text: str) -> str:
    """Return the last part of the path of a link, such as a gift's or one of Stripe's dashboard."""
    if not text.lower().startswith(("http://", "https://")):
        return ""
    return re.split(r"[?#]", text)[0].rstrip("/").rpartition("/")[2]


def _page(tables: Iterable[Matches], after: str) -> SearchPage:
    # Each table gives at most one page, so the search costs the same for any number of matches.
    lists = [matches.after(after, limit=MOST + 1) for matches in tables]
    merged = groupby(merge(*lists, key=_user), key=_user)
    found = [next(hits) for _, hits in islice(merged, MOST + 1)]
    return SearchPage(found[:MOST], found[MOST - 1].user_id if len(found) > MOST else "")


def _user(hit: SearchResult) -> str:
    return hit.user_id
