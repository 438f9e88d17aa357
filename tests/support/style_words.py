"""The idioms that no text of the project uses, each with the plain words for it.

Each is a phrase that documentation in plain English never needs, so a pattern has no exceptions.
"""

from __future__ import annotations

__all__ = ["BANNED"]

#: What may follow "is no": "is no longer" and the like are plain.
_NO = r"(?!\w+er\b|more\b|less\b|different\b|one\b|way\b|need\b)[a-z]+"

#: A pattern (in any case), and what to write instead.
BANNED: dict[str, str] = {
    # Verbs.
    r"\bstand(s|ing)?\b(?!-)": "is, is written, replaces, means",
    r"\bstood\b(?! for)": "was",
    r"\b(go|goes|going|gone|went) on\b": "continue, resume",
    r"\bin hand\b": "is driving, drives",
    r"\bcarr(y|ies|ied|ying) out\b": "run, make, do",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bgiv(e|es|en|ing) back\b": "return",
    r"\b(hand|hands|handed|handing) on\b": "pass on",
    r"\btak(e|es|en|ing) (a run|the run|it|one|runs) up\b": "resume",
    r"\b(is|are) told (in|of|on)\b": "is described in, is reported for",
    r"\btells? of\b": "describe, report",
    r"\bbelong(s|ing|ed)? into\b": "belong in",
    r"\bsees? to (it|that)\b": "make sure",
    r"\blies in\b": "is in",
    r"\bgets? there\b": "reach it",
    r"\bhangs? together\b": "fit together",
    r"\bputs? in the place\b": "replace",
    # Pronouns where a passive is plainer.
    r"\b(some|no|every)body('s)?\b": "a passive, or who it is: a person, a process, a caller",
    r"\bwhat is left\b": "the rest, what remains",
    r"\bwhat (came|comes|became|becomes) of\b": "the outcome of, the result of",
    r"\bof (ours|theirs|mine)\b": "our",
    r"\bof such\b": "of these",
    r"\b(its|their) kin\b": "similar ones",
    r"\bthe likes?\b": "similar ones",
    # Negation before a noun.
    rf"(?<!there )(?<!There )\b(is|are|was|were) no {_NO}": "is not a (valid)",
    r"\bnot any more\b": "no longer",
    # Adverbs and prepositions.
    r"\bbeside\b(?!:)": "next to, besides, in parallel with",
    r"\banew\b": "again",
    r"\bin (the|its|their) (place|stead) of\b": "instead of",
    r"\b(there|where)(by|of|upon|with|from|to|after)\b": "by this, of which",
    r"\b(whence|thence|hereby)\b": "so",
    r"\bfor ever\b": "forever",
    r"\bat most so\b": "at most N",
    r"\bso long ago\b": "at least this long ago",
    r"\bas good as\b": "almost, depends on",
    r"\b(all the same|even so)\b": "still, anyway",
    r"\bin vain\b": "without effect",
    r"\bwithout a word\b": "silently, without asking",
    r"\bdear(er|est)\b": "more expensive, most expensive",
    # Phrases of this project's past.
    r"\bdoes not check\b": "has errors",
    r"\bthe one layout\b": "the standard style",
    r"\bis there (yet|already)\b": "exists",
    r"\ba yes\b": "an approval",
}
