"""
Credentials taken out of texts before they are stored or shown.

Three things give a credential away: it is the value of a variable of the environment whose name
says so (`secrets_of`), in any of the spellings that it may turn up in; it begins as the keys of
some service do; or it stands behind a name that says so (`password=`, `Cookie:`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping

from .text import as_str, safe

REDACTED = "[redacted]"

# How keys begin, as their services document it, and how many characters follow at least.
_PREFIXES = {
    **{"sk-": 16, "pk-lf-": 16, "sk-lf-": 16, "sess-": 20},  # OpenAI and its relatives, Langfuse
    **{"gsk_": 20, "xai-": 20, "pplx-": 20, "nvapi-": 20, "r8_": 20, "hf_": 20, "csk-": 20},
    **{"fw_": 20, "tgp_v1_": 16, "jina_": 20, "tvly-": 16, "rpa_": 20, "esecret_": 16, "pa-": 32},
    **{"AIza": 30, "ya29.": 20, "AQ.Ab": 20, "GOCSPX-": 20, "AKIA": 16, "ASIA": 16, "ABSK": 40},
    **{"ghp_": 20, "gho_": 20, "ghu_": 20, "ghs_": 20, "ghr_": 20, "github_pat_": 20},
    **{"glpat-": 16, "gldt-": 16, "glrt-": 16, "glptt-": 16, "glcbt-": 16, "ATATT3": 20},
    **{"npm_": 20, "pypi-": 32, "rubygems_": 20, "dckr_pat_": 16, "dapi": 32, "dop_v1_": 32},
    **{"lsv2_pt_": 16, "lsv2_sk_": 16, "ls__": 20, "sntrys_": 20, "sntryu_": 20, "phx_": 20},
    **{"sk_live_": 16, "sk_test_": 16, "rk_live_": 16, "rk_test_": 16, "whsec_": 16},
    **{"hvs.": 20, "shpat_": 20, "sbp_": 20, "nfp_": 20, "rnd_": 20, "ntn_": 20},
    **{"figd_": 20, "lin_api_": 20, "PMAK-": 20, "xapp-": 16, "AGE-SECRET-KEY-1": 20},
}
# A key may follow an escape (`\n` of a repr, `%20` of a URL) but not another letter: `task-...`.
_APART = r"(?:(?<![WITHIN]PREFIX)|(?<=\\[nrt]PREFIX)|(?<=%[0-9A-Fa-f][0-9A-Fa-f]PREFIX))"


def _key(prefix: str, rest: str, within: str = "A-Za-z0-9") -> tuple[tuple[str], str]:
    """The shape of keys that begin with a prefix, not preceded by characters of a word."""
    literal = re.escape(prefix)
    apart = _APART.replace("PREFIX", literal).replace("WITHIN", within)
    return (prefix,), literal + apart + rest


_USER_IN_URL = r"://(?:[^\s/:@?#]*:([^\s/?#]+)|(?=[A-Za-z._~-]{0,64}[0-9])([^\s/:@?#]{16,}))@"
_PASSWORD_IN_URL = r"://[^\s/:@?#]*:([^\s/?#]+)@"
# A name, or the end of one: `aws_secret_access_key`, `X-Amz-Signature`, `AccountKey`, `sig`.
_NAMED = (
    r"(?i:(?:api|access|account|secret|private|auth|subscription|shared[_-]?access|encryption)"
    r"[_-]?key|secret|passw(?:or)?d|passphrase|pwd|credentials?|token|signature"
    r"|(?<![a-z])(?:sig|dsn|auth))"
)
_IS = r"[\"']{0,2}\s{0,2}(?:=>|[=:])\s{0,2}"
# What stands there without quotes: with a digit, as `token=settings.token` of a traceback's source
# line is no secret, and more than a number (`max_token: 16384`); in an address, whatever it is.
_BARE = (
    r"(?![0-9.]+(?![A-Za-z0-9._~+/%-]))(?=[A-Za-z._~+/%-]{0,64}[0-9])"
    r"([A-Za-z0-9._~+/%-]{8,}=*)(?![A-Za-z0-9._~+/%([-])"
)
_SEPARATORS = ("=", ":")

# Each shape: needles, and a regex tried only on text that holds one of them (they cost 30 ns and
# most texts hold none). Where a regex has groups, the one that took part is the secret. All are
# linear in the length of the text: no attempt fails after an unbounded repeat within which
# another can begin.
_SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    *(_key(prefix, rf"[A-Za-z0-9_-]{{{n},}}") for prefix, n in _PREFIXES.items()),
    _key("SG.", r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),  # SendGrid
    (("xox",), r"xox[a-z]-[A-Za-z0-9-]{10,}"),  # Slack
    # JSON Web Tokens; apart from "-" and "_" too, else "eyJ-eyJ-eyJ-..." is tried at each "eyJ".
    _key("eyJ", r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "A-Za-z0-9_-"),
    ((":AA",), r"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),  # Telegram's bots
    (
        ("hook",),  # whoever has the address may post
        r"(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks"
        r"|webhook\.office\.com/webhookb2)/([A-Za-z0-9_/@-]{16,})",
    ),
    (("://",), _USER_IN_URL),
    (
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----((?s:.*?))(?:-----END|\Z)",
    ),
    (("earer", "EARER"), r"(?i:bearer)(?:\s|%20){1,4}([A-Za-z0-9._~+/-]{16,}=*)"),
    (
        ("uthorization", "UTHORIZATION"),
        rf"(?i:authorization){_IS}[\"']?(?:(?i:basic|token|apikey|digest|negotiate) )?"
        r"(?=[A-Za-z._~+/-]{0,64}[0-9=])([A-Za-z0-9._~+/-]{8,}=*)",
    ),
    (("asic ",), r"(?i:authorization\W{1,6}basic )([A-Za-z0-9+/]{8,}=*)"),
    (("ookie",), rf"(?i:cookie){_IS}[\"']?([^\s=;\"']{{1,64}}=[^\r\n\"']{{4,}})"),
    (_SEPARATORS, rf"{_NAMED}{_IS}[\"']([^\s\"']{{8,}})[\"']"),
    (_SEPARATORS, rf"{_NAMED}{_IS}{_BARE}"),
    (("?", "&"), rf"[?&][A-Za-z0-9_.-]{{0,32}}?{_NAMED}=([^\s&#\"'<>]{{8,}})"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """
    The text with credentials replaced by `[redacted]`, in time linear in its length.

    Redact before cutting: half a key at the end of a cut text has no known shape.

    Args:
        secrets: the very values to take out, from `secrets_of`; where some overlap, all that
            they cover goes. Well-known key shapes (API keys of model and code hosts, bearer
            tokens, JWTs, private keys, `://user:password@`) and what stands behind a name such as
            `password=` go without being named.
    """
    spans = [span for secret in secrets for span in _found(text, secret)]
    for needles, pattern in _SHAPES:
        if any(needle in text for needle in needles):
            spans += [match.span(match.lastindex or 0) for match in re.finditer(pattern, text)]
    if not spans:
        return text
    kept, position = [], 0
    for start, end in sorted(spans):
        if start >= position:  # else it overlaps what has just been taken out
            kept += [text[position:start], REDACTED]
        position = max(position, end)
    return "".join(kept) + text[position:]


def safe_without(
    secrets: Iterable[str], text: object, limit: int | None = None, *, newlines: bool = False
) -> str:
    """`safe`, without what `redact` takes out, in the order in which no half of a key stays."""
    return safe(redact(as_str(text), secrets), limit, newlines=newlines)


def safe_error(error: object, limit: int | None = None, *, newlines: bool = False) -> str:
    """What somebody else's exception says, without the credentials of this process."""
    return safe_without(secrets_of(os.environ), error, limit, newlines=newlines)


def _found(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where a secret stands in the text; an empty one nowhere."""
    start = text.find(secret) if secret else -1
    while start >= 0:
        end = start + len(secret)
        yield start, end
        start = text.find(secret, end)


_CREDENTIAL = (  # "KEY", but neither "KEYBOARD" nor "TOKENIZERS_PARALLELISM"
    r"(?:KEYS?|TOKENS?|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|CREDENTIALS?|CREDS|AUTH|DSN"
    r"|COOKIE|PAT|SIGNATURE|WEBHOOK)(?![A-Z])"
)
# They name files, programs and sockets; a traceback without its paths would help nobody.
_NO_CREDENTIAL = r"^(?:OLD)?PWD$|(?:SOCK|FILE|PATH|DIR|ASKPASS)$"
_PLAIN_WORDS = ("disabled", "required", "optional", "anonymous", "password", "changeme")
_SHORTEST_SECRET = 8  # a shorter value is likely to be a flag or an everyday word


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """
    The values of the environment that look like credentials, longest first, for `redact`.

    A variable counts when a word of its name ends like KEY, TOKEN, SECRET, PASSWORD, CREDENTIAL,
    AUTH or DSN, and of any variable the password inside a URL. Values under 8 characters, plain
    words and the names of files and sockets are left alone.
    """
    found: set[str] = set()
    for name, value in environ.items():
        upper = name.upper()
        if re.search(_CREDENTIAL, upper) and not re.search(_NO_CREDENTIAL, upper):
            found.update(_parts(value))
        if "://" in value:
            found.update(re.findall(_PASSWORD_IN_URL, value))
    spelled = {each for secret in filter(_worth_hiding, found) for each in _spellings(secret)}
    return tuple(sorted(spelled, key=lambda secret: (-len(secret), secret)))


def _parts(value: str) -> Iterator[str]:
    """A secret, and the lines of a longer one."""
    yield value.strip()
    yield from (line.strip() for line in value.splitlines() if len(line) >= 2 * _SHORTEST_SECRET)


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it is, and as a repr, JSON, an address, a page and base64 show it."""
    import base64  # here: an idle pytest plugin needs none of these
    import html
    import json
    from urllib.parse import quote, quote_plus

    raw = secret.encode("utf-8", "surrogateescape")
    yield secret
    yield repr(secret)[1:-1]
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    for quotes in (True, False):
        yield html.escape(secret, quotes)
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield quoted
        yield re.sub("%..", lambda escape: escape[0].lower(), quoted)
    for coded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        yield coded.decode().rstrip("=")


def _worth_hiding(value: str) -> bool:
    return len(value) >= _SHORTEST_SECRET and value.lower() not in _PLAIN_WORDS
