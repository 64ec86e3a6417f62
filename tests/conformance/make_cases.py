"""Writes cases.json: what the real Django answered, as a case file of our own.

    python3 make_cases.py <folder of the Django reference> <5.2's answers> <6.1's>

The reference's capture script is run against a stand-in for its server and its
database, which writes down the bytes that each case sends and the rows that it
starts from. What each Django answered, on both databases, comes from the files
that record.py wrote. Needs argon2-cffi and bcrypt, as the capture does.

Work factors are a hundredth of 5.2's, and of 6.1's as much less as makes its
default the same, so that the whole table takes seconds. What we answer on purpose
differently is not here but in differences.json.
"""
import gzip
import json
import re
import sys
from pathlib import Path

REFERENCE = Path(sys.argv[1]).resolve()
RECORDED = [json.loads(Path(file).read_text()) for file in sys.argv[2:4]]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(REFERENCE))
sys.dont_write_bytecode = True

import capture  # noqa: E402
import djspec  # noqa: E402

SCALE = 100
# Django's default, after that.
ITERATIONS = 10_000
SIGNED_AT = 1_760_000_000
HEADERS = (
    "Content-Type", "WWW-Authenticate", "Allow", "Vary", "Location", "Transfer-Encoding",
)
MASKS = (
    ("<new-token-40-hex>", "<new token>"),
    ("<earlier-token-40-hex>", "<earlier token>"),
    ("<new-sessionid>", "<new session key>"),
    ("<new-csrf-32>", "<new CSRF secret>"),
    ("<now+max-age, RFC 7231 date>", "<now + Max-Age>"),
    ("<hash of current password>", "<hash of the current password>"),
)

pbkdf2, session_encode, gz = djspec.pbkdf2, djspec.session_encode, gzip.compress


def cheap_pbkdf2(password, salt, iterations=1_000_000, digest="sha256"):
    return pbkdf2(password, salt, iterations // SCALE, digest)


def steady_session_encode(data, now=None, **kw):
    at = SIGNED_AT if now is None else SIGNED_AT - 315_360_000
    return session_encode(data, now=at, **kw)


djspec.pbkdf2 = cheap_pbkdf2
djspec.session_encode = steady_session_encode
gzip.compress = lambda data: gz(data, mtime=0)


class Rows:
    """What a case puts into the database before it starts."""

    def clear(self):
        self.rows = {}

    def token(self, key, user):
        self.rows.setdefault("tokens", []).append({"key": key, "user": user})

    def session(self, key, data, expires_in=1_209_600):
        row = {"key": key, "data": data, "expires_in": expires_in}
        self.rows.setdefault("sessions", []).append(row)

    def q(self, sql, args):
        assert sql == "update accounts_customuser set password=? where id=1", sql
        self.rows["password_of_alice"] = args[0]


class Recorder(capture.Lab):
    def __init__(self):
        self.db, self.users = Rows(), capture.fixtures()
        self.ids = {v[0]: k for k, v in self.users.items()}
        self.cases, self.group = [], ""

    def run(self, name, raw, pre=None, keep=False, half_close=False, note=None):
        self.db.clear()
        if pre:
            pre()
        raw = raw() if callable(raw) else raw
        n = len(self.cases) + 1
        case = {"n": n, "section": self.group, "name": name}
        chunks = raw if isinstance(raw, list) else [raw]
        if any(b"X-Forwarded-Proto: https" in chunk for chunk in chunks):
            case["https"] = True
        if keep:
            case["keep"] = True
        case.update(self.db.rows)
        case["send"] = [pieces(chunk) for chunk in chunks]
        if half_close:
            case["half_close"] = True
        case.update(answers(n, self.group, name))
        self.cases.append(case)
        self.ctx = {
            "json": {"token": f"<token of {n}>"},
            "cookies": {
                "sessionid": f"<session key of {n}>",
                "csrftoken": f"<CSRF secret of {n}>",
            },
        }
        return case


def pieces(raw):
    """Bytes as texts, a character a byte; what repeats is written once."""
    text, out, at = raw.decode("latin-1"), [], 0
    for m in re.finditer(r"(.{1,8}?)\1{150,}", text, re.S):
        if m.start() > at:
            out.append(text[at:m.start()])
        out.append({"repeat": m[1], "times": len(m[0]) // len(m[1])})
        at = m.end()
    if at < len(text):
        out.append(text[at:])
    return out


def answers(n, section, name):
    """Both Djangos' answers, each written once."""
    def read(recorded, database):
        answer = recorded[database][n - 1]
        assert (answer["n"], answer["group"], answer["case"]) == (n, section, name)
        return expected(answer, recorded["iterations"] // ITERATIONS)

    old, new = ([read(r, d) for d in ("sqlite", "postgres")] for r in RECORDED)
    out = {"django": old[0]}
    if old[1] != old[0]:
        out["django_on_postgres"] = old[1]
    if new[0] != old[0]:
        out["django_6_1"] = new[0]
    # case.rs chooses like this, which a Django to come may not fit.
    assert new[1] == out.get("django_on_postgres", new[0]), f"case {n}: 6.1 on PostgreSQL"
    return out


def mask(text):
    for old, new in MASKS:
        text = text.replace(old, new)
    return text


def expected(answer, scale):
    _, status, rest = (answer["status_line"] + " ").split(" ", 2)
    out = {"status": int(status)}
    if "after 100 Continue" in rest:
        out["continue"] = True
    headers = {}
    for name, value in answer["headers"]:
        if name in HEADERS:
            assert name not in headers
            headers[name] = value
        elif name == "Set-Cookie":
            headers.setdefault(name, []).append(mask(value))
        elif name == "(after it)":
            out["then"] = int(value.split(" ")[1])
    out["headers"] = headers
    if "title" in answer:
        out["page"] = answer["title"]
    else:
        out["body"] = mask(answer["body"])
    out["effect"] = [effect(line, scale) for line in answer["db"]]
    return out


def effect(line, scale):
    def iterations(m):
        return f"{m[1]}${int(m[2]) // scale}"

    line = mask(line)
    line = re.sub(r"(pbkdf2_\w+)\$(\d+)", iterations, line)
    m = re.fullmatch(r"(\+session\[.*?\]) (\{.*\})", line)
    if m:
        return m[1] + " " + json.dumps(json.loads(m[2]), separators=(",", ":"))
    assert not line.startswith("~"), line
    return line


def versions(recorded):
    packages = [f"{name} {version}" for name, version in recorded["packages"].items()]
    return ", ".join([*packages, f"Python {recorded['python']}"])


def main():
    recorder = Recorder()
    capture.cases(recorder)
    assert all(len(recorder.cases) == len(recorded["sqlite"]) for recorded in RECORDED)
    users = [
        {
            "id": i, "username": name, "password": password,
            "is_active": name != "carol_inactive",
            "email": f"user{i}@example.com", "first_name": f"F{i}", "last_name": "L",
        }
        for i, (name, password) in recorder.users.items()
    ]
    dump = lambda value: json.dumps(value, ensure_ascii=False)  # noqa: E731
    lines = lambda rows: ",\n".join(map(dump, rows))  # noqa: E731
    (HERE / "cases.json").write_text(
        '{"recorded": ' + dump([versions(recorded) for recorded in RECORDED])
        + ',\n"secret_key": ' + dump(djspec.SECRET_KEY)
        + ',\n"trusted_origins": ' + dump(capture.TRUSTED)
        + f',\n"iterations": {ITERATIONS}'
        + ',\n"users": [\n' + lines(users)
        + '\n],\n"cases": [\n' + lines(recorder.cases) + "\n]}\n"
    )


main()
