"""What a reaction says to a question: a yes, a no, or nothing that may be taken for either.

The bridge passes on Messages' six names and any emoji as it was sent.
"""

from __future__ import annotations

from common.wire.approvals import Decision

_SKIN_TONES = frozenset(range(0x1F3FB, 0x1F400))
_UNSEEN = _SKIN_TONES | {0xFE0E, 0xFE0F, 0x20E3}
_JOINER = "\u200d"

_YES = frozenset(
    ("like", "love", *"👍👌✅✔☑💯🙏🆗🙆🫡💪🤝🤙🟢⭕", *"❤♥🧡💛💚💙🩵💜🤎🖤🩶🤍🩷💕💖💗💓💞💝")
)
_NO = frozenset(("dislike", *"👎❌✖❎🚫⛔🛑🙅🆖✋🤚🖐🔴"))
_NAMES = {
    "like": "👍", "love": "❤️", "dislike": "👎", "laugh": "😂", "emphasise": "‼️", "question": "❓",
    "sticker": "a sticker", "emoji": "that reaction",
}  # fmt: skip


def bare(reaction: str) -> str:
    """The reaction without skin tone, variation selector, and what a joiner adds (♀, ♂, a flame):
    👍🏽 is 👍, 🙅🏽‍♀️ is 🙅, ❤️‍🩹 stays apart from ❤."""
    seen = "".join(char for char in reaction.strip() if ord(char) not in _UNSEEN)
    head, _, tail = seen.partition(_JOINER)
    return head if not tail or tail in "♀♂" else seen


def meaning(reaction: str) -> Decision | None:
    """None: it may mean anything, so it decides nothing. Several of one kind count as one."""
    sign = bare(reaction)
    if len(set(sign)) == 1:
        sign = sign[0]
    if sign in _YES:
        return Decision.APPROVE
    return Decision.DENY if sign in _NO else None


def of_sign(word: str) -> Decision | None:
    """The same for a word of a text, where Messages' names of reactions are just words."""
    return None if word.isascii() else meaning(word)


def shown(reaction: str) -> str:
    """The reaction as a person saw it."""
    return _NAMES.get(reaction, reaction)
