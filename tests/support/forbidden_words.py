"""Words and phrases that have a standard term instead."""

from __future__ import annotations

import re

EVERYWHERE = (
    r"twins?|so-manieth|trainees?|neighbours?|pictures?|lettering|levell?ed|gone on with|go on with"
    r"|is to be|are to be|how far|asked|tells?|answers?"
)
IN_HELP = r"share|shares|turned|goes on with|asks|how it ends|least|so many"
IN_DOCUMENTS = r"first edition|second edition|a face's"


def find_forbidden_words(text: str, more: str) -> list[str]:
    """The words of `EVERYWHERE`, and of `more`, that the text uses."""
    return re.findall(rf"\b(?:{EVERYWHERE}|{more})\b", text, re.IGNORECASE)
