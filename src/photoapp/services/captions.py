"""What a text says to the system: hashtags and mentions. Linear, whatever is thrown at it (PROMISES SEC-44)."""

from __future__ import annotations

import re
import unicodedata

from photoapp.errors import InvalidComment, InvalidParameter

CAPTION_LIMIT, CAPTION_TAG_LIMIT = 2200, 30
COMMENT_LIMIT, COMMENT_TAG_LIMIT, COMMENT_URL_LIMIT = 300, 4, 1
TAG_LIMIT = 100

_TAG = re.compile(r"(?<![\w&/#])#(\w{1,100})(?!\w)")
_MENTION = re.compile(r"(?<![\w.@/])@([A-Za-z0-9_](?:[A-Za-z0-9._]{0,28}[A-Za-z0-9_])?)(?![A-Za-z0-9_])", re.ASCII)
_URL = re.compile(r"(?:https?://|www\.)\S", re.IGNORECASE)


def hashtags(text: str) -> list[str]:
    """The tags of a text, normalised (NFC, lower case), each once, in order. A tag of digits alone is a number, not a
    tag.
    """
    found = (unicodedata.normalize("NFC", match[1]).lower() for match in _TAG.finditer(text))
    return list(dict.fromkeys(tag for tag in found if not tag.isdigit()))


def mentions(text: str) -> list[str]:
    """The usernames that a text addresses, lower case, each once, in order."""
    return list(dict.fromkeys(match[1].lower() for match in _MENTION.finditer(text)))


def check_caption(text: str) -> str:
    """The caption. Raises ``InvalidParameter`` over 2,200 characters or 30 hashtags."""
    if len(text) > CAPTION_LIMIT:
        raise InvalidParameter("caption", f"must be at most {CAPTION_LIMIT} characters long")
    if "\0" in text:
        raise InvalidParameter("caption", "must not contain NUL")
    if len(hashtags(text)) > CAPTION_TAG_LIMIT:
        raise InvalidParameter("caption", f"must hold at most {CAPTION_TAG_LIMIT} hashtags")
    return text


def check_comment(text: str) -> str:
    """The comment. Raises ``InvalidParameter`` for an empty one and ``InvalidComment`` for what the rules of API.md
    refuse.
    """
    if not text.strip():
        raise InvalidParameter("text", "must not be empty")
    if "\0" in text:
        raise InvalidParameter("text", "must not contain NUL")
    if len(text) > COMMENT_LIMIT:
        raise InvalidComment("APICommentTooLongError", f"must be at most {COMMENT_LIMIT} characters long")
    if len(hashtags(text)) > COMMENT_TAG_LIMIT:
        raise InvalidComment("APICommentTooManyTagsError", f"must hold at most {COMMENT_TAG_LIMIT} hashtags")
    if len(_URL.findall(text)) > COMMENT_URL_LIMIT:
        raise InvalidComment("APICommentTooManyUrlsError", f"must hold at most {COMMENT_URL_LIMIT} URL")
    if text.upper() == text and text.lower() != text:
        raise InvalidComment("APICommentAllCapsError", "must not be all capital letters")
    return text
