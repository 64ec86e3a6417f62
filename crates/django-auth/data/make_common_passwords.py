#!/usr/bin/env python3
"""Writes common_passwords.txt, from the list in the crate `passwords`:

    cargo add passwords@3.1.19 && cargo vendor      (in a project of its own)
    data/make_common_passwords.py vendor/passwords/data/common-passwords.json

One password a line, in lower case, in the order of its bytes.
"""

import json
import pathlib
import sys

words = {word.lower().strip() for word in json.load(open(sys.argv[1], encoding="utf-8"))}
words.discard("")
assert not any("\n" in word or "\r" in word for word in words)
text = "".join(f"{word}\n" for word in sorted(words))
pathlib.Path(__file__).with_name("common_passwords.txt").write_text(text, encoding="utf-8")
