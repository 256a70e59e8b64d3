"""The records that everything is made of. Field docstrings become the data card.

fact        is_a(gruds, abmes)
rule        is_a(X, Z) :- is_a(X, Y), is_a(Y, Z).
document    "Gruds are a type of abmes. Abmes are rony."
question    "Gruds can be described as" -> "rony."
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from icl_bench.errors import IclBenchError


def short_id(text: str) -> str:
    """16 hexadecimal digits of SHA-256: the id of whatever has this content."""
    return sha256(text.encode()).hexdigest()[:16]


_MARKS = re.compile(r'[(),"]')
_FACT = re.compile(r'(\w+)\(([^(),"]+|"(?:[^"\\]|\\.)*"), ([^(),"]+|"(?:[^"\\]|\\.)*")\)')


@lru_cache(maxsize=1 << 14)
def _fact_id(fact: Fact) -> str:
    """Facts are named again and again: in documents, proofs and tables."""
    return short_id(str(fact))


class Fact(NamedTuple):
    """A statement about two entities, such as `is_a(gruds, abmes)`."""

    relation: str
    subject: str
    object: str

    @classmethod
    def parse(cls, text: str) -> Fact | None:
        """The fact whose `str` this is; None for any other text.

        >>> Fact.parse('is("f(x)", x + 1)')
        Fact(relation='is', subject='f(x)', object='x + 1')
        """
        match = _FACT.fullmatch(text)
        if match is None:
            return None
        relation, *ends = match.groups()
        try:
            fact = cls(relation, *(json.loads(end) if end.startswith('"') else end for end in ends))
        except ValueError:
            return None
        return fact if str(fact) == text else None

    def __str__(self) -> str:
        """`relation(subject, object)`; an entity that holds a bracket, a comma or a quotation mark is quoted, as in JSON."""
        subject, object_ = self.subject, self.object
        if _MARKS.search(subject + object_):
            subject, object_ = (json.dumps(end, ensure_ascii=False) if _MARKS.search(end) else end for end in (subject, object_))
        return f"{self.relation}({subject}, {object_})"

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of `str(fact)`."""
        return _fact_id(self)


class Rule(NamedTuple):
    """A Horn rule over binary relations: the head holds whenever the one or two facts of the body hold."""

    head: Fact
    body: tuple[Fact, ...]

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read `"is_a(X, Z) :- is_a(X, Y), is_a(Y, Z)."`, the syntax of Datalog and of answer-set solvers.

        Raises:
            IclBenchError: the text is not such a rule, the body has more than two facts, a variable of the head is
                not in the body, or two facts of a body share no variable.
        """
        atoms = [Fact(*match) for match in re.findall(r"([a-z]\w*)\(([A-Z]), ([A-Z])\)", text)]
        head, body = (atoms[0], tuple(atoms[1:])) if atoms else (None, ())
        if head is None or f"{head} :- {', '.join(map(str, body))}." != text or not 1 <= len(body) <= 2:
            raise IclBenchError(f"not a rule: {text!r}; write 'head(X, Z) :- one(X, Y), two(Y, Z).'")
        variables = [set(atom[1:]) for atom in body]
        if not set(head[1:]) <= set().union(*variables) or not set.intersection(*variables):
            raise IclBenchError(f"not a joined rule: {text!r}; every variable must tie the head and the body together")
        return cls(head, body)

    def __str__(self) -> str:
        return f"{self.head} :- {', '.join(map(str, self.body))}."


class Frozen(BaseModel):
    """A record that is validated once and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Relation(Frozen):
    """How a relation is worded and what its inverse is."""

    name: str
    """Its name in facts: `is_a`, `more_dangerous`."""
    inverse: str
    """The relation that holds with subject and object swapped; a symmetric relation is its own inverse."""
    wording: str
    """The file of templates that words it: several relations may share one."""
    forms: Mapping[str, str] = {}
    """Variables for those templates, such as `{"relation": "more dangerous"}`."""
    strength: int = 0
    """Of two entailed alternatives, the one of the stronger relation says more ("all" over "some")."""


class Line(NamedTuple):
    """A sentence of a document that the world itself composes."""

    template: str
    """The file of templates, in `documents/`."""
    values: Mapping[str, str]
    """What fills it."""
    facts: tuple[Fact, ...]
    """The base facts that it states."""


class Bundle(NamedTuple):
    """Base facts that documents tell together."""

    facts: tuple[Fact, ...]
    terms: tuple[str, ...]
    """The entities that such a document lists, or its topic; none for facts that no document is about."""
    label: str | None = None
    """The subset for error bars that questions about these facts belong to; None: the relation asked about."""
    script: tuple[Line, ...] = ()
    """The sentences of its document, where documents are scripted; none for facts that other bundles' documents state."""


class Derivation(NamedTuple):
    """A fact that follows from base facts by something else than Horn rules, such as calculation."""

    fact: Fact
    premises: tuple[Fact, ...]
    """The base facts that it takes, each once."""
    hops: int
    """How often they are used, all together."""


class Repeated(Frozen):
    """Documents that are one wording each: every bundle (or every fact of it) is told `times` times."""

    times: int
    """Documents for each bundle, every one in another wording."""
    together: bool
    """True: one document tells all the facts of its bundle. False: each fact of a bundle has its own documents."""
    kind: str
    """The `kind` of these documents."""
    templates: str = "documents"
    """The file of templates; `{wording}` stands for the wording of the (first) fact's relation."""


class Articles(Frozen):
    """Documents of many sentences: an article on one bundle, filled up with facts of bundles drawn at random."""

    documents: int
    """How many documents."""
    sentences: tuple[int, int]
    """The least and the most statements in a document."""
    qa_fraction: float
    """The share of the documents that are questions and answers."""


class Scripted(Frozen):
    """Documents that the world composes sentence by sentence: the script of every bundle that has one is a document."""

    kind: str
    """The `kind` of these documents."""


class Ask(Frozen):
    """One kind of question and how its choices are found."""

    kind: str
    """The kind of inference: rephrase, reversal, syllogism, category_holdout, ..."""
    split: Literal["validation", "test"]
    """The split that it goes to."""
    templates: str
    """The file of templates; `{wording}` stands for the wording of the relation asked about."""
    choices: int | None = None
    """None: the choices are the alternatives that the world names. A number: that many questions share their choices."""
    count: int | None = None
    """The most questions of this kind; None for as many as there are."""


class World(NamedTuple):
    """One sampled world: what is true in it and how it is told and asked. The build needs nothing else."""

    name: str
    seed: int
    relations: Mapping[str, Relation]
    rules: tuple[Rule, ...]
    bundles: Sequence[Bundle]
    independent: bool
    """True if no rule ever joins facts of two bundles, so that bundles can be closed one by one."""
    telling: Repeated | Articles | Scripted
    asks: tuple[Ask, ...]
    classify: Callable[[Fact, int, bool], str | None]
    """(entailed fact, hops, is it stated) -> the kind of question that asks for it, or None."""
    alternatives: Callable[[Fact], Sequence[Fact]]
    """An asked fact -> all the claims to choose from, itself among them (for kinds without a number of choices)."""
    kind_of: tuple[str, str] = ("", "")
    """The relation that says of an entity that it is a kind of another, and its inverse, if there is one."""
    derivations: Sequence[Derivation] = ()
    """What follows by something else than the rules."""
    label: Callable[[Fact], str | None] = lambda fact: None
    """An asked fact -> the subset for error bars that it belongs to; None: that of its bundle, or the relation."""
    checker: Literal["datalog", "process"] = "datalog"
    """How the audit checks what follows: by closing the stated facts under the rules, or by a checker of its own."""


class Document(Frozen):
    """One training document."""

    id: str
    """16 hexadecimal digits of the SHA-256 of the row's content"""
    kind: str
    """what sort of document or question this is"""
    text: str
    """the document; of a question, the question and its first gold answer: a true statement"""
    facts: tuple[str, ...]
    """ids of the facts that a document states, or of the stated facts that prove an answer"""
    sentence_ends: tuple[int, ...]
    """character offsets at which the sentences of a document end (null in questions)"""


class Question(Frozen):
    """One question with its choices and the proof of its answer."""

    id: str
    kind: str
    relation: str
    """the subset for error bars: the relation asked about, or the form of a syllogism (null in documents)"""
    text: str
    question: str
    """the prompt, ending where the answer starts (null in documents)"""
    choices: tuple[str, ...]
    """continuations of the prompt; not shown to the model (null in documents)"""
    claims: tuple[str, ...]
    """what each choice asserts, as `relation(subject, object)` (null in documents)"""
    answer: tuple[int, ...]
    """every correct choice: the strongest that is entailed and its equivalents (null in documents)"""
    weaker: tuple[int, ...]
    """choices that are entailed too but say less than the answer; count them as neither right nor wrong (null in documents)"""
    facts: tuple[str, ...]
    hops: int
    """number of stated facts in the shortest proof of the answer, each counted as often as it is used (null in documents)"""


class FactRow(Frozen):
    """One true fact of a world, stated or entailed."""

    id: str
    """16 hexadecimal digits of the SHA-256 of `relation(subject, object)`"""
    subject: str
    """the entity that the fact is about"""
    relation: str
    """the relation"""
    object: str
    """what the subject is related to"""
    sentence: str
    """the fact in words"""
    status: Literal["stated", "derived", "asked"]
    """stated: in a training document; derived: follows from stated facts; asked: derived, and the answer of a test question"""
    proof: tuple[str, ...]
    """ids of the stated facts that prove it, as few as possible (a stated fact proves itself)"""


Positive = Annotated[int, Field(gt=0, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]


class WorldConfig(Frozen):
    """The numbers of a dataset that a user may set. Each world extends it."""

    @classmethod
    def of(cls, dataset: str, fields: Mapping[str, Any]) -> Self:
        """Check a user's fields.

        Raises:
            IclBenchError: a field that the dataset does not have, or a value that does not fit it.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                raise IclBenchError(f"{dataset} has no field {field!r}; its fields are {', '.join(cls.model_fields)}") from None
            if not field:
                raise IclBenchError(f"{dataset}: {first['msg'].removeprefix('Value error, ')}") from None
            reason = first["msg"].removeprefix("Value error, ")
            raise IclBenchError(f"{dataset}.{field} = {first['input']!r}: {reason}") from None
