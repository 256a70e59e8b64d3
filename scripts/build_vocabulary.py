"""Write icl_bench/words.txt and icl_bench/words_excluded.txt, the data of icl_bench/vocabulary.py.

    pip install wordfreq==3.1.1 better-profanity==0.7.0
    npm pack cuss@2.2.0 && tar xzf cuss-2.2.0.tgz
    python scripts/build_vocabulary.py package/index.js

It needs the package icl_bench installed (`pip install -e .`) or on PYTHONPATH.

words.txt holds pronounceable words of four and five letters, made of English onsets, vowels and codas, that no list of
wordfreq knows: not as they are, not with the plural -s, not with the participle -ed. Two published lists of offensive
words are read here and copied nowhere: a word is left out when it, its plural or its participle contains an entry, or
when it is one edit from an entry of four letters or more.

words_excluded.txt holds the words that vocabulary.py would otherwise grow out of words.txt and that fail the same test.
The same two files come out of every run; it takes half a minute.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from string import ascii_lowercase

from wordfreq import available_languages, get_frequency_dict, top_n_list

from icl_bench.vocabulary import CONSONANTS, FINALS, VOWELS

PACKAGE = Path(__file__).resolve().parent.parent / "icl_bench"

SINGLES = " ".join(CONSONANTS)
NUCLEI = " ".join(VOWELS)
OPENINGS = "bl br ch cl cr dr fl fr gl gr pl pr sh th tr tw"  # those that also open a second syllable
PAIRS = f"{OPENINGS} sk sl sm sn sp st sw"
TRIPLES = "shr skr spl spr str thr"
DIGRAPHS = "ai au ee oa oi oo ou"
ENDS = "b d f g k l m n p r t"
CODAS = "ck ff ft ld lf lk ll lm lp lt mp nd ng nk nt pt rb rd rf rg rk rl rm rn rp rt sk sp st th"
LONG_CODAS = "ft ld lt nd nk nt sk st th"  # those that read well after two vowels
SEAMS = "ft gn kt lb ld lf lk lm lp lt lv mb mp nd nf ng nk nt nv pt rb rd rf rg rk rl rm rn rp rt rv sk sm sp st"
SHAPES = [
    (PAIRS, NUCLEI, ENDS),  # glon
    (SINGLES, NUCLEI, CODAS),  # femp
    (SINGLES, DIGRAPHS, ENDS),  # boif
    (NUCLEI, SINGLES, NUCLEI, ENDS),  # amog
    (PAIRS, NUCLEI, CODAS),  # troff
    (TRIPLES, NUCLEI, ENDS),  # strog
    (PAIRS, DIGRAPHS, ENDS),  # glaup
    (SINGLES, DIGRAPHS, LONG_CODAS),  # voist
    (SINGLES, NUCLEI, SINGLES, NUCLEI, ENDS),  # ronim
    (NUCLEI, SINGLES, NUCLEI, CODAS),  # arend
    (NUCLEI, SEAMS, NUCLEI, ENDS),  # ilpof
    (NUCLEI, OPENINGS, NUCLEI, ENDS),  # atrob
]
UNFIT = re.compile(  # participles, vowels and glides that run together, stuttering, rare spellings
    r"ed$|iy|uw|(.)[aeiou]\1[aeiou]\1|(..).?\2|au(.?[lrwy]|n[gk])|[aeiou]ck..|[aeiou]w[bdfgkpt]$"
)


def offensive(cuss: Path) -> set[str]:
    """The entries of both published lists that have three letters or more and nothing but letters."""
    spec = find_spec("better_profanity")
    if spec is None or spec.origin is None:
        sys.exit("better-profanity is not installed: pip install better-profanity==0.7.0")
    lines = (Path(spec.origin).parent / "profanity_wordlist.txt").read_text().lower().split("\n")
    rated = re.findall(r"^  '?([a-z]+)'?: [12]", cuss.read_text(), re.MULTILINE)  # 0: hardly ever an offence
    return {entry for entry in [*lines, *rated] if re.fullmatch("[a-z]{3,}", entry)}


def edits(word: str) -> Iterator[str]:
    """The strings one edit from the word."""
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        yield head + tail[1:]
        for letter in ascii_lowercase:
            yield head + letter + tail
            yield head + letter + tail[1:]


def openers(entries: set[str]) -> set[str]:
    """Syllables such that a word CVCVCVC without them, its plural and its participle contain no entry of CVC or more.

    Grown words are checked three letters at a time, so that a longer entry is kept out by one of its syllables.
    """
    shape = re.compile(rf"[{VOWELS}]?([{CONSONANTS}][{VOWELS}])*[{CONSONANTS}]?")
    stems = {entry.removesuffix(ending) for entry in entries for ending in ("", "s", "e", "ed")}
    stems = {stem for stem in stems if len(stem) < 8 and shape.fullmatch(stem)}
    found = [set(re.findall(rf"(?=([{CONSONANTS}][{VOWELS}][{CONSONANTS}]))", stem)) for stem in stems]
    chosen: set[str] = set()
    while found := [syllables for syllables in found if syllables and not syllables & chosen]:
        uses = Counter(syllable for syllables in found for syllable in syllables)
        single = {syllable for syllables in found if len(syllables) == 1 for syllable in syllables}
        chosen |= single or {max(uses, key=lambda syllable: (uses[syllable], syllable))}
    return chosen


def sound(word: str) -> str:
    """A rough key of pronunciation: words that share it are read alike."""
    word = re.sub("c(?=[ei])|z", "s", word).replace("ck", "k").replace("c", "k").replace("ph", "f")
    return re.sub(r"(.)\1", r"\1", word)


def main(cuss: Path) -> None:
    lists = [(language, size) for size in ("large", "small") for language in available_languages(size)]
    known = {word for language, size in lists for word in get_frequency_dict(language, size)}
    familiar = {sound(word) for word in top_n_list("en", 20_000)}
    slurs = offensive(cuss)
    near = {word for entry in slurs if len(entry) > 3 for word in edits(entry)}
    inside = re.compile("|".join(sorted(slurs | openers(slurs))))

    def fit(word: str) -> bool:
        forms = (word, word + "s", word + "ed")
        return not (any(form in known or inside.search(form) for form in forms) or word in near)

    made = {"".join(parts) for shape in SHAPES for parts in product(*map(str.split, shape))}
    words = sorted(w for w in made if not UNFIT.search(w) and sound(w) not in familiar and fit(w))

    pieces = {word[i : i + 3] for word in words for i in range(len(word) - 2)}
    grown = re.compile(rf"([{CONSONANTS}][{VOWELS}]){{3}}[{FINALS}](?<!ed)")
    stems = {re.sub("(?<=^.{7})(s|ed)$", "", word) for word in known if 7 <= len(word) <= 9} | known | near
    excluded = sorted(w for w in stems if grown.fullmatch(w) and not fit(w) and all(w[i : i + 3] in pieces for i in range(5)))
    for name, lines in ("words.txt", words), ("words_excluded.txt", excluded):
        (PACKAGE / name).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        print(f"{name}: {len(lines)} words")
    print("letters:", dict(sorted(Counter(map(len, words)).items())))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} INDEX_JS_OF_CUSS")
    main(Path(sys.argv[1]))
