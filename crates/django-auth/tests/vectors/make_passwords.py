#!/usr/bin/env python3
"""Asks the real Django about some thousand new passwords, for
src/password/validation.rs, and writes passwords.json:

    target/neighbour-venv/bin/python crates/django-auth/tests/vectors/make_passwords.py

(`.ci/run neighbour` makes that Python.) A case is: password, username, first
name, last name, e-mail address, least length, Django's messages. Common ones are
drawn from our list; nothing of Django's own list is written down unless it stands
in ours too.
"""

import json
import pathlib
import random

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"], USE_TZ=True
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.password_validation import (  # noqa: E402
    CommonPasswordValidator,
    MinimumLengthValidator,
    NumericPasswordValidator,
    UserAttributeSimilarityValidator,
    validate_password,
)
from django.core.exceptions import ValidationError  # noqa: E402

HERE = pathlib.Path(__file__).parent
RANDOM = random.Random(20261123)

ours = set((HERE / "../../data/common_passwords.txt").read_text("utf-8").splitlines())
theirs = CommonPasswordValidator().passwords
common = sorted(ours & theirs)

FIRST = ["Ada", "José", "Мария", "Łukasz", "İpek", "हिन्दी", "Jean-Luc", "O'Neil", "", "", "Li", "ﬁona"]
LAST = ["Lovelace", "Müller-Schmidt", "Иванова", "Ὀδυσσεύς", "van der Berg", "กำธร", "", "", "Ng", "de_la_Cruz"]
HOSTS = ["example.org", "mail.example.co.uk", "пример.рф", "x.y", "lovelace.example"]
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "⁰¹²³⁴⁵⁶⁷⁸⁹", "①②③④⑤⑥⑦⑧⑨", "ⅠⅡⅢⅣⅤⅥⅦⅧ", "½⅓¼", "一二三四五"]
ODD = "aZ9 -_.@'!éßẞıİſΣς́ी้\u200d\u00a0\u2003\x1c\x85🔑ǅ𝔘Ⓐª"


def user():
    first, last = RANDOM.choice(FIRST), RANDOM.choice(LAST)
    number = str(RANDOM.randrange(10**RANDOM.randint(1, 6)))
    name = RANDOM.choice([first + last, f"{first}.{last}", last.lower() + number, "x", "_admin_", number, "a" * 40])
    local = RANDOM.choice([first.lower(), f"{last}+tag", name[:60], "info", "a.b.c"])
    email = RANDOM.choice(["", f"{local}@{RANDOM.choice(HOSTS)}", f"@{local}", local])
    return name, first, last, email


def change(text):
    """Something like the text: as people make a password of their name."""
    for _ in range(RANDOM.randint(0, 4)):
        at = RANDOM.randint(0, len(text))
        text = RANDOM.choice([
            lambda: text.upper(),
            lambda: text.lower(),
            lambda: text[::-1],
            lambda: text[:at] + RANDOM.choice(ODD) + text[at:],
            lambda: text[:at] + text[at + 1:],
            lambda: text + str(RANDOM.randrange(1000)),
            lambda: f" {text} ",
            lambda: "".join(RANDOM.sample(text, len(text))),
        ])()
    return text


def password(owner):
    kind = RANDOM.randrange(10)
    if kind < 5:
        name = RANDOM.choice(owner)
        part = RANDOM.choice([name] + name.replace("@", " ").replace(".", " ").split())
        return change(part or "nobody")
    if kind < 7:
        return RANDOM.choice([str, str.upper, str.title, lambda w: f"\t{w}\x1f ", lambda w: w + "!"])(RANDOM.choice(common))
    if kind < 8:
        digits = RANDOM.choice(DIGITS)
        return "".join(RANDOM.choices(digits, k=RANDOM.randint(1, 14))) + RANDOM.choice(["", "", " ", "x"])
    if kind < 9:
        return "".join(RANDOM.choices(ODD, k=RANDOM.randint(1, 30)))
    return RANDOM.choice(owner)[:40] * RANDOM.randint(1, 20) + RANDOM.choice(["", "k"])


def messages(password, owner, least):
    name, first, last, email = owner
    validators = [
        UserAttributeSimilarityValidator(),
        MinimumLengthValidator(least),
        CommonPasswordValidator(),
        NumericPasswordValidator(),
    ]
    validators[2].passwords = theirs
    # The check of Django's own commands.
    if password.strip() == "":
        return ["Blank passwords aren't allowed."]
    try:
        validate_password(
            password, User(username=name, first_name=first, last_name=last, email=email), validators
        )
    except ValidationError as error:
        return error.messages
    return []


cases = []
while len(cases) < 4000:
    owner = user()
    cases.append([password(owner), *owner, RANDOM.choice([8, 8, 8, 15, 2])])
for case in cases:
    case.append(messages(case[0], case[1:5], case[5]))
cases = [
    case for case in cases
    # A list that is longer than Django's says more; what is in it is tested apart.
    if (case[0].lower().strip() in ours) == (case[0].lower().strip() in theirs)
    and len(case[0].encode()) <= 4096
]
rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
(HERE / "passwords.json").write_text(
    f'{{"django": "{django.get_version()}", "cases": [\n{rows}\n]}}\n', encoding="utf-8"
)
print(len(cases), "cases")
