"""How long Python's own libraries take to verify a password.

    verify.py HASHER TIMES

Prints the median milliseconds of wall time and of CPU, at the costs that Django has
by default. No Django: its own checks come on top.
"""

import hashlib
import statistics
import sys
import time

PASSWORD = b"plinth-otter-42-veranda"
SALT = b"22-characters-of-salt."


def pbkdf2_sha256():
    return lambda: hashlib.pbkdf2_hmac("sha256", PASSWORD, SALT, 1_000_000)


def bcrypt_sha256():
    import bcrypt

    # Django hashes the password first, so that its length does not matter.
    password = hashlib.sha256(PASSWORD).hexdigest().encode()
    stored = bcrypt.hashpw(password, bcrypt.gensalt(12))
    return lambda: bcrypt.checkpw(password, stored)


def scrypt():
    return lambda: hashlib.scrypt(
        PASSWORD, salt=SALT, n=2**14, r=8, p=5, maxmem=64 * 1024 * 1024, dklen=64
    )


def argon2():
    import argon2

    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=102_400, parallelism=8)
    stored = hasher.hash(PASSWORD)
    return lambda: hasher.verify(stored, PASSWORD)


def main():
    hasher, times = sys.argv[1], int(sys.argv[2])
    verify = {f.__name__: f for f in (pbkdf2_sha256, bcrypt_sha256, scrypt, argon2)}[hasher]()
    verify()
    wall, cpu = [], []
    for _ in range(times):
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        verify()
        wall.append(time.perf_counter() - wall_before)
        cpu.append(time.process_time() - cpu_before)
    print(statistics.median(wall) * 1e3, statistics.median(cpu) * 1e3)


main()
