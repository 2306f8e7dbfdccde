"""What gives a credential away is taken out, and what only looks alike stays."""

from __future__ import annotations

import base64
import html
import json
import time
import urllib.parse
from pathlib import Path

import pytest

from doteval import redaction


class TestRedact:
    def test_named_secrets_go(self):
        """The very values of the environment are taken out, wherever they stand."""
        said = "login with hunter2hunter2 or 'hunter2hunter2'"

        shown = redaction.redact(said, ["hunter2hunter2"])

        assert shown == "login with [redacted] or '[redacted]'"

    def test_a_text_without_secrets_is_left_alone(self):
        """Nothing is copied where there is nothing to hide."""
        plain = "Error code: 500 - the task-specific model risk-aware-something is down"

        assert redaction.redact(plain, ["hunter2hunter2", ""]) is plain

    def test_overlapping_secrets_leave_no_rest(self):
        """Of a secret within another, or half over another, nothing stays."""
        shown = redaction.redact("x abcdefgh1234 y", ["efgh1234", "abcdefgh12", "abcdefgh"])

        assert shown == "x [redacted] y"

    @pytest.mark.parametrize(
        "secret",
        [
            "sk-proj-Abc123Abc123Abc123_-x",
            "sk-ant-api03-Abc123Abc123Abc123",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_" + "a1B2" * 9,
            "github_pat_" + "a1B2" * 9,
            "glpat-" + "a1B2" * 5,
            "xoxb-1234567890-abcdef",
            "AIza" + "a1B2-" * 7,
            "hf_" + "a1B2" * 8,
            "gsk_" + "a1B2" * 8,
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w",
        ],
    )
    @pytest.mark.parametrize("around", ["{}", "key: {}, x", "'{}'", "=%20{}&", r"'\n{}\n'"])
    def test_well_known_shapes_go(self, secret, around):
        """Keys of known services go without being named, plain, quoted or escaped."""
        shown = redaction.redact(around.format(secret))

        assert secret not in shown
        assert "[redacted]" in shown

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ("Authorization: Bearer abcdef0123456789abcdef==", "Authorization: Bearer [redacted]"),
            ("BEARER abcdef0123456789abcdef", "BEARER [redacted]"),
            ("'Authorization': 'Basic dXNlcjpwYXNz'", "'Authorization': 'Basic [redacted]'"),
            ("postgres://bob:pa:ss@w@db/x", "postgres://bob:[redacted]@db/x"),
            ("redis://:hunter2@db", "redis://:[redacted]@db"),
            (
                "https://a.org/x?api_key=abcdef0123456789&y=1",
                "https://a.org/x?api_key=[redacted]&y=1",
            ),
            ('"x-api-key": "abcdef0123456789"', '"x-api-key": "[redacted]"'),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMII\nabc\n-----END RSA PRIVATE KEY-----",
                "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMII", "-----BEGIN PRIVATE KEY-----[redacted]"),
        ],
    )
    def test_what_stands_around_a_secret_stays(self, given, shown):
        """Of headers, addresses and arguments only the secret part goes."""
        assert redaction.redact(given) == shown

    @pytest.mark.parametrize(
        ("given", "secret"),
        [
            ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
            ("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjEXAMPLE0", "IQoJb3JpZ2luX2VjEXAMPLE0"),
            ("https://x/?X-Amz-Security-Token=IQoJb3Jpabc%2F&a=1", "IQoJb3Jpabc%2F"),
            ("https://x/?a=1&X-Amz-Signature=fe5f80f77d5fa3beca03", "fe5f80f77d5fa3beca03"),
            ("AccountName=bob;AccountKey=Eby8vdM02xNOcqFlqUwJ==;End", "Eby8vdM02xNOcqFlqUwJ=="),
            ("SharedAccessKey=5wyKtQ0SPqlVdBpxMo3R=", "5wyKtQ0SPqlVdBpxMo3R="),
            ("https://bob.blob/x?sv=2022&sig=abcdefghijk%3D", "abcdefghijk%3D"),
            ("client_secret=abcd1234efgh", "abcd1234efgh"),
            ("connect(password='correcthorsebattery9')", "correcthorsebattery9"),
            ("https://a.org/?token=onlyletters", "onlyletters"),
            ("{'token': 'onlyletters'}", "onlyletters"),
            ("Cookie: session=abcdef; theme=dark", "abcdef; theme=dark"),
            ("{'Set-Cookie': 'sid=abcdefgh'}", "abcdefgh"),
            ("{'Authorization': '0123456789abcdef'}", "0123456789abcdef"),
            ("Authorization: Token 0123456789abcdef", "0123456789abcdef"),
            ("https://ghx0123456789abcdef@github.com/a/b", "ghx0123456789abcdef"),
            ("api_key='onlyletters'", "onlyletters"),
            ("npm_" + "a1B2" * 9, "a1B2a1B2"),
            ("pypi-AgEIcHlwaS5vcmc" + "a1B2" * 9, "AgEIcHlwaS5vcmc"),
            ("dapi" + "0a1b2c3d" * 4, "0a1b2c3d"),
            ("lsv2_pt_" + "0a1b2c3d" * 4, "0a1b2c3d"),
            ("GOCSPX-" + "a1B2" * 7, "a1B2a1B2"),
            ("sk_test_" + "a1B2" * 6, "a1B2a1B2"),
            ("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXX", "XXXXXXXX"),
            ("https://discord.com/api/webhooks/1234567890/abc-DEF_ghi", "abc-DEF_ghi"),
            ("bot 123456789:AA" + "Hk-_" * 8 + "x failed", "Hk-_Hk-_"),
            ("SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuv"),
        ],
    )
    def test_what_stands_behind_a_telling_name_goes(self, given, secret):
        """In headers, addresses, arguments, settings and mappings; and what services document."""
        assert secret not in redaction.redact(given)

    @pytest.mark.long
    def test_ordinary_lines_stay(self):
        """Of the lines of a whole library, as tracebacks show them, at most 1 in 1,000 is cut."""
        library = Path(json.__file__).parent.parent
        files = [*library.glob("*.py"), *library.glob("asyncio/*.py"), *library.glob("http/*.py")]
        lines = [
            line
            for file in sorted(files)
            for line in file.read_text("utf-8", "replace").splitlines()
            if line.strip()
        ]

        cut = [line for line in lines if redaction.redact(line) != line]

        assert len(lines) > 50_000
        assert len(cut) <= len(lines) / 1_000

    @pytest.mark.parametrize(
        "harmless",
        [
            "client = Client(api_key=settings.openai_api_key)",
            "Bearer token is missing",
            "http://localhost:8000/v1?mail=a@b.org",
            "https://git@host.org/x",
            "eyJ is how a token begins",
            "unexpected token: 12345678 at line 3",
            "max_tokens=16384000, next_token=self._token2(page)",
            "token = tokenizer.decode(ids[0])",
            "the secret: nobody knows it",
            "a cookie: something sweet",
            "https://some.user@host.org/x",
            "sig: (x: int) -> str",
            "password=password, auth=(user, secret1234(x))",
        ],
    )
    def test_what_only_looks_alike_stays(self, harmless):
        """Tracebacks stay readable."""
        assert redaction.redact(harmless) == harmless

    @pytest.mark.parametrize(
        "hostile",
        [
            *(
                "sk-",
                "eyJ",
                "eyJ-",
                "\\neyJ",
                "%20eyJ",
                "://",
                "://a:",
                "Bearer ",
                "AKIA",
                "api_key=",
                "authorization: basic ",
                "password='",
                "?token=",
                "&a",
                "cookie: a",
                "token=a",
                "hooks.slack.com/services/",
            ),
            *("-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaaa.", "://:@", "xox", "hunter2hunter2"),
        ],
    )
    @pytest.mark.parametrize("filler", ["", "a" * 1_000_000, " " * 1_000_000])
    def test_hostile_text_takes_linear_time(self, hostile, filler):
        """A megabyte made to trap a regex takes tenths of a second; quadratic would take hours."""
        start = time.perf_counter()

        redaction.redact(hostile * 100_000 if not filler else hostile + filler, ["hunter2hunter2"])

        assert time.perf_counter() - start < 5


class TestSecretsOf:
    @pytest.mark.parametrize(
        "name",
        [
            *(
                "OPENAI_API_KEY",
                "openai_api_key",
                "HF_TOKEN",
                "AWS_SECRET_ACCESS_KEY",
                "DB_PASSWORD",
            ),
            *("SENTRY_DSN", "MY_CREDENTIALS", "BASIC_AUTH", "DB_PWD", "APIKEY", "KEY_1", "GH_PAT"),
        ],
    )
    def test_credentials_are_known_by_their_names(self, name):
        """What a name calls a key, token, secret or password is one."""
        assert "hunter2hunter2" in redaction.secrets_of({name: "hunter2hunter2"})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PWD", "/home/bob/project"),
            ("OLDPWD", "/home/bob/project"),
            ("SSH_AUTH_SOCK", "/run/user/1000/agent"),
            ("SSH_KEY_PATH", "/home/bob/.ssh/id"),
            ("SSH_ASKPASS", "/usr/bin/askpass"),
            ("KEYBOARD_LAYOUT", "us-international"),
            ("TOKENIZERS_PARALLELISM", "true-or-not"),
            ("GIT_AUTHOR_NAME", "Bob Builder"),
            ("MAX_TOKENS", "4096"),
            ("AUTH", "disabled"),
            ("HOME", "/home/bob/and/more"),
        ],
    )
    def test_the_rest_of_the_environment_is_no_secret(self, name, value):
        """Paths, flags and short values stay readable."""
        assert redaction.secrets_of({name: value}) == ()

    def test_the_password_of_an_address_counts_whatever_the_name(self):
        """A driver's message may quote the password alone."""
        found = redaction.secrets_of({"DATABASE_URL": "postgres://bob:hunter2hunter2@db/x"})

        assert "hunter2hunter2" in found
        assert not any("bob" in each for each in found)

    @pytest.mark.parametrize(
        "spelling",
        [
            urllib.parse.quote,
            urllib.parse.quote_plus,
            lambda value: urllib.parse.quote(value, safe="").lower(),
            json.dumps,
            html.escape,
            repr,
            lambda value: base64.b64encode(value.encode()).decode(),
        ],
    )
    def test_a_value_is_known_in_every_usual_encoding(self, spelling):
        """A key turns up as addresses, JSON, pages and reprs spell it."""
        value = "påss/wörd+&=12<34'"

        shown = redaction.redact(spelling(value), redaction.secrets_of({"A_KEY": value}))

        assert shown.strip("\"'=") == "[redacted]"

    def test_the_longest_comes_first(self):
        """The order is that of the length."""
        found = redaction.secrets_of({"A_KEY": "a" * 8, "B_KEY": "b" * 12, "C_KEY": "c" * 10})

        assert [each for each in found if len(set(each)) == 1] == ["b" * 12, "c" * 10, "a" * 8]
        assert [len(each) for each in found] == sorted(map(len, found), reverse=True)

    def test_a_secret_is_known_in_other_spellings(self):
        """A repr escapes it, and a key of several lines turns up line by line."""
        lines = "first-line-0123456789\nsecond-line-0123456789"

        found = redaction.secrets_of({"A_KEY": lines, "B_KEY": "back\\slash'quote\""})

        assert "first-line-0123456789\\nsecond-line-0123456789" in found
        assert "second-line-0123456789" in found
        assert redaction.redact(
            f"{'back' + chr(92) + 'slash' + chr(39) + 'quote' + chr(34)!r}", found
        ) == ("'[redacted]'")
