r"""
The choice that an answer makes.

An answer is read in levels; the first that names a choice decides, and where it names several the
answer is unread: never is the last one taken by luck. A choice that a later one takes back ("no,
wait: C") does not count.

1. What is marked or stands alone: \boxed{B}, `<answer>B</answer>`, `[[B]]`, `{"answer": "B"}`,
   `#### B`; "Answer: B" and "final answer is B"; a letter that is the whole answer, its first line
   or its last. Where these differ, what is called final counts.
2. What is stated: "the answer is B", "I choose B", "option B is correct", "it's B", "so, B.";
   of "A: no. B: yes." the one that is affirmed.
3. What is named: "answer B", "option B", and a label that begins the answer, "B. Paris".
4. The text of an option, where options have texts: as the answer, as what is stated ("the answer
   is Paris"), or as the only one that occurs.

Neither a letter within prose (*I*, *A*) is a choice, nor one that is denied ("not B", "B is
wrong"), supposed ("if the answer is A", "could be B", "B?") or listed ("A, B, C or D").
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import UsageError
from ..record import Score
from .answers import END_MARK, MARK, marked, plain, said, text_of, unread
from .making import ACCURACY, brief

# --- words -----------------------------------------------------------------------------------

# How the most used languages call an answer, and what may stand between that word and the letter.
# In scripts without Latin letters anything may, as a Latin letter there is no word.
_ANSWER = (
    "answers?|ans\\.?|choice|pick|selection|respuesta|réponse|reponse|antwort|lösung|resposta|gabarito"
    "|risposta|jawaban(?:nya)?|cevap|cevab[iı]m?|yan[iı]t|đáp án|câu trả lời|odpowiedź|odpowiedz"
    "|antwoord|svar(?:et)?|vastaus|odgovor|válasz|odpověď|răspuns(?:ul)?|jibu|sagot|solution|solución|solução"
)
_OPTION = (
    "option|choice|letter|opción|opcion|opção|opcao|alternativa|letra|lettre|opzione|lettera|opsi"
    "|pilihan|huruf|seçenek|şık|phương án|optie|opcja|buchstabe|alternative|variant|number|no\\."
)
_LINK = (
    "is|are|was|be|being|would|should|must|has|to|will|likely|probably|clearly|definitely|thus"
    "|hence"
    "|therefore|so|then|the|that|correct|right|best|final|most|appropriate|accurate"
    "|as(?=\\s+follows)"
    "|follows|given|by|in|it'?s|here|this|question|problem|of|above|ist|lautet|wäre|die|der|das"
    "|den|richtige|korrekte|also|somit"
    "|es|sería|la|el|las?|correcta|correcto|est|serait|le|bonne|é|e|seria|o|os?|correta|certa|è"
    "|sarebbe|corretta|giusta|adalah|yaitu|ialah|yang|benar|tepat|paling|là|đúng|to|jest|prawidłowa|poprawna"
    f"|juiste|correcte|är|er|on|je|doğru|ni|sahihi|option|a(?=\\s+(?:{_OPTION}|(?-i:[A-Z])\\b))"
)
_FAR_ANSWER = (  # Chinese, Japanese, Korean, Hindi, Bengali, Arabic, Urdu, Persian, Russian, ...
    "答案|选项|選項|正解|答え|答|回答|解答|選択肢|정답|답|उत्तर|जवाब|विकल्प|উত্তর|জবাব|বিকল্প|الإجابة|الاجابة"
    "|إجابة|الجواب|الخيار|جواب|پاسخ|گزینه|ответ\\w{0,2}|отговор\\w{0,2}|вариант\\w{0,2}|відповід\\w{1,2}|відповідь"
    "|απάντηση|תשובה|คำตอบ|ตอบ|பதில்|సమాధానం|ഉത്തരം|જવાબ|ਜਵਾਬ"
)
_FAR_CHOOSE = "故?[选選](?:择|擇|项|項)?|选为|選ぶ|выбираю|выбрал\\w?|обираю|أختار|اختار|선택"
_FAR_CORRECT = (
    "正[解确確]|正しい|対|对|정답|맞|옳|सही|सटीक|সঠিক|صحيح|الصحيح|صحیح|درست|верн|правильн|σωστ"
    "|נכונ|ถูก"
)
_FAR_NOT = (
    "不|非|没|沒|未|错|錯|误|誤|除|ない|違|아니|틀|नहीं|ग़?लत|না|নয়|ভুল|ليس|خطأ|غير|نہیں|غلط|نیست|не"
    "|ไม่|ผิด"
)
_CHOOSE = (
    "(?:i|i'd|i'll|i'm|we|let'?s|let me|would|will|shall|to|going|thus|so|therefore|must)\\s+"
    "(?:(?:will|would|shall|to|also|therefore|have|go|finally|now|definitely|have to)\\s+){0,3}"
    "(?:choose|chose|pick|select|answer|say|guess|vote for|opt for|go with|go for|going with"
    "|settle on)"
    "|ich (?:wähle|nehme|entscheide mich für)|wähle ich|(?:yo )?(?:elijo|escojo|elegiría)"
    "|je (?:choisis|choisirais|prends)|(?:eu )?escolh[oi]|marco|scelgo|saya memilih|pilih|seçiyorum"
    "|tôi chọn|chọn|wybieram|ik kies"
)
_THINK = (
    "(?:(?:it|this|that)(?:'s| is| would be)|(?:(?:it|this|that) )?(?:must|has to|should) be)"
    "|i (?:think|believe|guess|would say|am going with)(?: that)?"
    "(?: (?:it|this|the answer)(?:'s| is)| the answer is)?"
    "|i'd say|my (?:guess|bet|best guess) is|c'est|es ist|es la|é a|è la"
)
_CORRECT = (
    "correct|right|true|best|the answer|accurate|most (?:likely|appropriate|accurate|plausible)"
    "|richtig|korrekt|correcta|correcto|correct[ea]?|juste|exacte?|correta|correto|certa"
    "|corretta|esatta"
    "|giusta|benar|tepat|doğru\\w{0,3}|đúng|chính xác|poprawna|prawidłowa|juist|rätt"
)
_IS = (
    "is|are|was|must be|would be|should be|seems|looks|appears|ist|wäre|scheint|es|est|é|è"
    "|adalah|là|jest|är|er"
)
_WRONG = (
    "(?:(?:is|are|was|were|can|could|would|does|do|did|has|seems|looks|must|may|might|ist|es"
    "|est|é|è|adalah|là)"
    "\\b\\s*(?:be\\s+)?){0,2}"
    "(?:n'?t\\b|n't|not\\b(?!\\s+(?:option\\s+|answer\\s+)?[(\\[]?[A-Z]\\b)|never\\b|no\\b"
    "|also not|clearly not|wrong|incorrect|false|invalid|untrue|implausible"
    "|impossible|out\\b|eliminated|ruled out|falsch|nicht|incorrect[oa]|fals[oa]|fau(?:x|sse)"
    "|errad[oa]"
    "|sbagliat[oa]|salah|yanlış|sai\\b|fout|✗|✘|❌|×)"
)
_DENIED = (
    "(?:\\bnot|n't|n’t|\\bnever|\\bcannot|\\bno|\\bneither|\\bnor|\\bif|\\bwhether|\\bunless"
    "|\\bsuppos\\w{1,3}"
    "|\\bassum\\w{1,3}|\\beliminat\\w{1,3}|\\brul\\w{1,3} out|\\bexclud\\w{1,3}|\\bdiscard\\w{0,3}"
    "|\\binstead of|\\brather than|\\bthan|\\bexcept|\\b(?:all|anything|everything) but|\\bover"
    "|\\bunlike|\\bwrong|\\bincorrect|\\bfalse"
    "|\\bwhy|\\bnicht|\\bkein\\w{0,2}|\\bwenn|\\bfalls|\\bsi|\\bse|\\bpas|\\bnon|\\bnão"
    "|\\bbukan|\\bdeğil"
    "|\\bkhông|\\bnie|\\bniet|\\bstudent'?s?|\\buser'?s?)"
)
_AND = "or|and|oder|und|o|y|ou|et"
_FOLLOWING = (  # words that may follow the letter A or I; others make an article of it
    "because|since|as|for|due|given|when|while|where|which|that|but|and|or|not|is|are|in|on"
    "|here|by|with|from"
    "|therefore|although|though|rather|instead|porque|ya|pues|puesto|parce|car|puisque|weil|da"
    "|denn|und|oder"
    "|pois|karena|sebab|perch[eé]|omdat|want|çünkü|ponieważ|bo|vì|bởi|och|y|et|e|ou|o|şık\\w{0,6}"
)
_BECAUSE = (
    "because|since|as|for|due|given|but|rather|instead|porque|pues|parce|car|puisque|weil|denn"
    "|pois|karena|sebab|perch[eé]|omdat|want|çünkü|ponieważ|vì"
)
_BACK = re.compile(  # what takes back what was stated before it
    r"\b(?:no|nope|nein|non|não|wait|hmm+|oops|sorry|actually|correction|rather|instead"
    r"|scratch that"
    r"|on second thought\w?|i mean|my mistake|let me re\w{2,10}|reconsider\w{0,3}"
    r"|re-?evaluat\w{1,3}"
    r"|i was wrong|that'?s wrong|that is wrong|perdón|pardon"
    r"|moment)\b[\s]?[,.:;!\u2014\u2013\u2026-]"
    r"|\b(?:or rather|wait|actually|correction|scratch that|on second thought\w?|i mean"
    r"|reconsider\w{0,3})\b"
    r"|不对|不對|等等|更正|いや|待って|아니",
    re.IGNORECASE,
)
_BACK_FOR_CERTAIN = re.compile(  # what takes back even an answer that was marked as one
    r"\b(?:wait|scratch that|correction|on second thoughts?|my mistake|i was wrong|oops"
    r"|let me re\w{2,10}|reconsider\w{0,3})\b|不对|不對|等等|更正|待って",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    rf"(?:{_DENIED}\s+(?:the|that|an?|my|it'?s|it is|be|die|der|la|le)?\s*(?:correct|right|best"
    rf"|final)?"
    r"\s*(?:option|choice|answer)?|\b(?:could|might|may|can) (?:also )?be|\bone of)\s*[(\[]?\Z",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    rf"[)\]]?['\s]{{0,3}}(?:{_WRONG}|(?:would|could|might|may) (?:only )?be [^.\n]{{0,40}}\bif\b)"
    rf"|[)\]]?\s?\?|[^\nA-Za-z.。,，]{{0,3}}(?:{_FAR_NOT})",
    re.IGNORECASE,
)
_SURELY = (
    "definitely|probably|likely|most likely|clearly|certainly|surely|obviously|it|must be|i guess"
    "|i'd guess"
)
_VERDICT_YES = re.compile(r"(?:yes|correct|true|right|✓|✔|✅)", re.IGNORECASE)


class _Patterns(NamedTuple):
    """What finds a choice among these letters."""

    alone: re.Pattern[str]
    marked: re.Pattern[str]
    final: re.Pattern[str]
    colon: re.Pattern[str]
    stated: tuple[re.Pattern[str], ...]
    verdicts: re.Pattern[str]
    named: re.Pattern[str]
    label: re.Pattern[str]
    introduced: re.Pattern[str]
    more: re.Pattern[str]
    and_more: re.Pattern[str]


@functools.lru_cache(maxsize=64)
def _patterns(letters: str) -> _Patterns:
    upper = "".join(map(re.escape, letters))
    lower = "".join(re.escape(letter) for letter in letters.lower() if letter not in letters)
    latin = letters.isascii()
    word = "A-Za-z0-9À-ɏ" if latin else r"\w"  # what makes one word with a letter
    begin = rf"(?<![{word}'’])(?<![{word}]-)(?:[(\[<'‘]{{1,2}}\s?)?"
    end = rf"(?!['’](?!d[iıuü]r|t[iıuü]r)[{word}]|-?[{word}]|\.[{word}]|[+#])"
    goes_on = rf"(?![ \t]+(?!(?:{_FOLLOWING})\b)[a-zà-ɏ])"
    i = r"(?![ \t]+(?!(?:because|since|as|is)\b)[a-z])"
    # Capitals, but neither article nor pronoun; small letters, in brackets or at an end.
    plainly = "".join(re.escape(letter) for letter in letters if letter not in "AI") or upper
    pick = "|".join(
        [
            rf"[{plainly}]{end}",
            *([rf"A{end}{goes_on}"] if "A" in letters else []),
            *([rf"I{end}{i}"] if "I" in letters else []),
            *([rf"[{lower}](?=\s?[)\]])", rf"[{lower}]{end}(?![ \t]+\w)"] if lower else []),
        ]
    )
    pick = rf"{begin}(?-i:(?P<pick>{pick}))"
    gap = r"[\s:,=\-–—→>]{1,4}"
    option = rf"(?:(?:the\s+)?(?:{_OPTION})\s*)?"
    linked = rf"(?:(?:{_LINK}|{_OPTION})(?=[\s:(\['’])|l['’])"
    far = rf"(?:(?!{_FAR_NOT})[^\n.。！？!?A-Za-zÀ-ɏ]){{0,24}}?"

    def of(pattern: str) -> re.Pattern[str]:
        return re.compile(pattern, re.IGNORECASE | re.MULTILINE)

    return _Patterns(
        alone=of(
            rf"\W{{0,6}}(?:(?:{_SURELY})[\s,:]{{1,2}})?{option}\s?{begin}"
            rf"(?-i:(?P<pick>[{upper}{lower}]))[)\]>.:,;!。'’]{{0,3}}(?:\sit\sis)?[.!]?\s*"
        ),
        marked=of(
            rf"\[\[\s?(?P<pick>[{upper}{lower}])\s?\]\]|####\s*{begin}(?-i:([{upper}{lower}])){end}"
            rf"|[\"'](?:final_?|correct_?)?(?:answer|choice|option|letter|pick"
            rf"|selected)[\"']\s?:\s?"
            rf"[\"']?\(?([{upper}{lower}])(?=[)\"'.:,\s}}]|$)"
        ),
        final=of(
            rf"\bfinal\s+(?:{_ANSWER}|decision|verdict){gap}(?:{linked}{gap}){{0,4}}{pick}"
            rf"|(?:最终|最終|최종)(?:的|の)?(?:{_FAR_ANSWER}){far}{pick.replace('?P<pick>', '')}"
        ),
        colon=of(
            rf"(?:(?:{_ANSWER}|\bresponse|\bcorrect)"
            rf"(?:\s(?:{_OPTION}|finale?|correct[ea]|is|ist|est|es|é|è))?\s?[:=：]"
            rf"|(?:{_FAR_ANSWER})[^\nA-Za-z0-9:：.。]{{0,6}}[:：]|^\W{{0,6}}(?:{_ANSWER})\s?\n)"
            rf"\s{{0,4}}{option}{pick}"
        ),
        stated=(
            of(
                rf"\b(?:{_ANSWER}|{_OPTION}|the (?:best|correct|right|only)(?: one)?)['’]?s?{gap}"
                rf"(?:{linked}{gap}?){{1,5}}{pick}"
            ),
            of(rf"\b(?:{_ANSWER})['’]s{gap}{pick}"),
            of(rf"(?:{_FAR_ANSWER}){far}{pick}"),
            of(rf"(?:{_FAR_CHOOSE}){far}{pick}"),
            of(
                rf"\b(?:{_CHOOSE}){gap}(?:for\s+)?(?:(?:the|l['’]|la|die|option)\s*)?{option}{pick}"
            ),
            of(
                rf"\b(?:{_THINK}){gap}(?:option\s+|answer\s+|choice\s+)?{pick}(?=[)\]]?\s*(?:[.,;:!\n(\-–—]|$|\b(?:{_BECAUSE})\b))"
            ),
            of(
                rf"\b(?:so|therefore|thus|hence|also|daher|donc|por lo tanto|portanto|quindi"
                rf"|jadi|因此|所以|故)[\s,:]{{1,3}}{option}{pick}(?=[)\]]?\s*(?:[.!\n]|$))"
            ),
            of(
                rf"(?:\b(?:{_OPTION}|{_ANSWER})\s+)?{pick}[)\].:]{{0,2}}\s?(?:\([^()\n]{{0,80}}\)\s?)?\s?"
                rf"(?:{_IS})\s+(?:(?:the|a|clearly|definitely|probably|likely|thus|therefore"
                rf"|indeed|also|die|der|das|la|le|el|a|o"
                rf"|my|our|most|yang|câu|phương)\s+){{0,3}}(?:{_CORRECT}|final answer|answer)\b"
            ),
            of(rf"{pick}{far}(?:{_FAR_CORRECT})"),
        ),
        verdicts=of(
            rf"{begin}(?P<pick>[{upper}])[)\].:]{{0,2}}\s?[:\-–—]?\s?(?P<said>yes|no|correct"
            rf"|incorrect|true"
            rf"|false|right|wrong|✓|✔|✅|✗|✘|❌)(?![{word}])"
        ),
        named=of(rf"\b(?:{_OPTION}|{_ANSWER}|only){gap}{pick}"),
        label=of(
            rf"^[ \t✓✔✅☑➡→\ufe0f]*[(\[]?(?-i:(?P<pick>[{upper}{lower}]))"
            rf"(?:[)\].:](?![{word}])|,(?=\s)|\s+(?:[-–—|]|{_BECAUSE})\s)"
        ),
        introduced=of(
            rf"(?:\b(?:{_ANSWER})(?:{gap}(?:{linked})){{0,5}}{gap}|(?:{_FAR_ANSWER}){far})['‘]?\Z"
        ),
        more=of(
            rf"[)\]]?(?:\s?[,/&+、]\s?(?:{_AND})?\s?|\s+(?:{_AND})\s+)"
            rf"(?:{_OPTION})?\s?{begin}(?-i:(?P<pick>[{upper}]))(?=[)\]]?\s*(?:[.,;:!?/&+)\]、。]|$|or\b|and\b|\n))"
        ),
        and_more=of(
            rf"{begin}(?-i:(?P<pick>[{upper}]))[)\]]?(?:\s?[,/&+、]\s?(?:(?:{_AND})\s+)?|\s+(?:{_AND})\s+)"
            rf"(?:(?:{_OPTION})\s+)?[(\[]?\Z"
        ),
    )


# --- reading ---------------------------------------------------------------------------------


_LONGEST_MARKED = 2_000  # characters; a mark within a mark within a mark … comes to an end


class _Pick(NamedTuple):
    """A letter that an answer names, where, and whether it is called final."""

    start: int
    end: int
    letter: str
    final: bool = False


class _Reader:
    """
    Reads the choice of one answer.

    Args:
        text: without reasoning.
        letters: upper case.
        options: the letter of each option's text, in lower case.
    """

    def __init__(self, text: str, letters: str, options: Mapping[str, str]) -> None:
        self._patterns = _patterns(letters)
        self._letters = letters
        self._options = options
        text = self._patterns.marked.sub(
            lambda found: f"{MARK}{next(filter(None, found.groups()))}{END_MARK}", marked(text)
        )
        self._text = plain(text).strip()

    def choice(self) -> tuple[str | None, str]:
        """The letter, or None and why there is none."""
        for level in (self._told, self._stated, self._named, self._by_text):
            picks = self._not_taken_back(sorted(level()))
            if level == self._told and picks:
                picks = self._instead(picks[-1].end) or picks
            letters = {pick.letter for pick in picks}
            if len(letters) > 1:
                letters = {pick.letter for pick in picks if pick.final} or letters
            if len(letters) == 1:
                return letters.pop(), ""
            if letters:
                return None, f"it names several choices: {', '.join(sorted(letters))}"
        return None, "it names no choice"

    def _not_taken_back(self, picks: list[_Pick]) -> list[_Pick]:
        kept: list[_Pick] = []
        for pick in picks:
            last = kept[-1] if kept else pick
            if pick.letter != last.letter and _BACK.search(self._text, last.end, pick.start):
                kept.clear()
            kept.append(pick)
        return kept

    def _instead(self, end: int) -> list[_Pick]:
        """What is stated after the answer that was marked was taken back."""
        return [
            pick
            for pick in sorted(self._stated())
            if _BACK_FOR_CERTAIN.search(self._text, end, pick.start)
        ]

    def _told(self) -> Iterator[_Pick]:
        text, patterns = self._text, self._patterns
        for mark in re.finditer(f"{MARK}([^{MARK}{END_MARK}]*){END_MARK}", text):
            letter = self._marked(mark[1])
            if letter and not self._denied(*mark.span()):
                yield _Pick(*mark.span(), letter)
        for final in patterns.final.finditer(text):
            yield from self._picks(final, final=True)
        for colon in patterns.colon.finditer(text):
            yield from self._picks(colon)
        lines = [line for line in (text[:200].split("\n")[0], text[-200:].split("\n")[-1]) if line]
        for line, at in zip(lines, (0, len(text)), strict=False):
            alone = patterns.alone.fullmatch(line.strip(f"{MARK}{END_MARK} "))
            if alone:
                yield _Pick(at, at, self._letter(alone["pick"]))

    def _marked(self, content: str) -> str | None:
        alone = self._patterns.alone.fullmatch(content.strip())
        if alone:
            return self._letter(alone["pick"])
        if _bare(content) in self._options:
            return self._options[_bare(content)]
        if len(content) > _LONGEST_MARKED:
            return None
        return _Reader(content, self._letters, self._options).choice()[0]

    def _stated(self) -> Iterator[_Pick]:
        for pattern in self._patterns.stated:
            for found in pattern.finditer(self._text):
                yield from self._picks(found)
        said = [(each, _VERDICT_YES.fullmatch(each["said"])) for each in self._verdicts()]
        if len(said) > 1:
            yield from (
                _Pick(*each.span(), self._letter(each["pick"])) for each, yes in said if yes
            )

    def _named(self) -> Iterator[_Pick]:
        for found in self._patterns.named.finditer(self._text):
            yield from self._picks(found)
        labels = list(self._patterns.label.finditer(self._text))
        letters = {self._letter(label["pick"]) for label in labels}
        listed = len(letters) > 1 and self._letter(labels[0]["pick"]) == self._letters[0]
        if labels and not listed and len(self._verdicts()) < 2:
            first = labels[0].start() == 0
            if first or labels[-1].start() > self._text.rfind("\n"):
                yield from self._picks(labels[0 if first else -1])

    def _by_text(self) -> Iterator[_Pick]:
        if not self._options:
            return
        text = self._text.casefold()
        whole = self._options.get(_bare(text))
        if whole:
            yield _Pick(0, len(text), whole)
            return
        for found in _any_of(tuple(self._options)).finditer(text):
            if not self._denied(found.start(), found.end()):
                before = max(found.start() - 60, 0)
                said = self._patterns.introduced.search(self._text, before, found.start())
                yield _Pick(*found.span(), self._options[found[0]], said is not None)

    def _verdicts(self) -> list[re.Match[str]]:
        return list(self._patterns.verdicts.finditer(self._text))

    def _picks(self, found: re.Match[str], *, final: bool = False) -> Iterator[_Pick]:
        """The letters that a match names; none where it denies, supposes or lists them."""
        group = next(at for at, text in enumerate(found.groups(), 1) if text)
        start, end = found.span(group)
        if self._denied(found.start(), end):
            return
        letters = [self._letter(found[group])]
        beside = self._patterns.and_more.search(self._text, max(start - 20, 0), start)
        if beside and not self._denied(beside.start(), beside.end("pick")):
            letters.append(self._letter(beside["pick"]))
        after = self._text_after(end)
        if after:
            letters.append(after)
        more = self._patterns.more.match(self._text, end)
        while more:
            letters.append(self._letter(more["pick"]))
            end = more.end("pick")
            more = self._patterns.more.match(self._text, end)
        if len(letters) < 3:
            for letter in letters:
                yield _Pick(start, end, letter, final)

    def _text_after(self, end: int) -> str | None:
        """The letter of the option whose text, and nothing more, goes on behind a letter."""
        rest = re.compile(r"[^\n]{0,200}").match(self._text, end)
        return self._options.get(_bare(rest[0])) if rest and self._options else None

    def _denied(self, start: int, end: int) -> bool:
        before = _DENIED_BEFORE.search(self._text, max(start - 40, 0), start)
        return before is not None or _DENIED_AFTER.match(self._text, end) is not None

    def _letter(self, found: str) -> str:
        return found if found in self._letters else found.upper()


def _bare(text: str) -> str:
    """A text as options are compared: without case, and without what stands around it."""
    return " ".join(text.casefold().split()).strip(" .,:;!?()[]。、")


@functools.lru_cache(maxsize=64)
def _any_of(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Finds any of these texts as words of their own, the longest first."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


# --- the evaluator ---------------------------------------------------------------------------

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def choice_match(
    result: Any,
    expected: str | int,
    choices: str | Sequence[str] | Mapping[str, str] = "ABCD",
    *,
    name: str | None = None,
) -> Score:
    r"""
    Whether the answer to a multiple-choice question picks the expected choice.

    Reasoning in blocks is left out, and so are TeX, Markdown, tags and quotes. Then the answer is
    read in levels, of which the first that names a choice decides: what is marked (\boxed{B},
    "Answer: B", a letter alone on the first or last line), what is stated ("the answer is B", "I
    choose B", in the most used languages), what is named ("option B", "B. Paris" at the beginning),
    and the text of an option. Several different choices are none, unless one takes back the other.

    An answer that is empty, or picks none or several, is wrong and `unread`; the metadata say as
    `problem` why. They have what was read as `choice`.

    Args:
        expected: the letter, its position counted from 0, or the text of the option.
        choices: the letters; or the options' texts, in the order of A, B, C; or texts by letter.

    Raises:
        UsageError: the expected choice is not among the choices.
    """
    letters, options = _choices(choices)
    right = letters[expected] if type(expected) is int and 0 <= expected < len(letters) else ""
    given = "" if isinstance(expected, (int, bool)) else str(expected).strip()
    right = right or options.get(_bare(given), given.upper())
    if len(right) != 1 or right not in letters:
        raise UsageError(
            f"choice_match(expected={expected!r}): expected one of {', '.join(letters)}, or its "
            "position from 0"
        )
    metadata = brief({"result": result, "expected": expected})
    text = text_of(result)
    choice, problem = (None, "") if text is None else _Reader(said(text), letters, options).choice()
    metadata["choice"] = choice
    if choice is None:
        return unread(name or "choice_match", ACCURACY, metadata, result, problem)
    return Score(name or "choice_match", choice == right, ACCURACY, metadata)


def _choices(given: str | Sequence[str] | Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """The letters, and the letter of each option's text."""
    if isinstance(given, str):
        return given.upper(), {}
    if isinstance(given, Mapping):
        letters = "".join(map(str, given)).upper()
        texts = list(given.values())
    else:
        texts = list(given)
        letters = _ALPHABET[: len(texts)]
        if all(len(text) == 1 and text.isalpha() for text in texts):
            return "".join(texts).upper(), {}
    options = {_bare(str(text)): letter for letter, text in zip(letters, texts, strict=False)}
    options.pop("", None)
    return letters, options
