"""Looks for words in a process's memory, as root could: `secrets.py PID WORD…` prints each that is there, and where."""

import re
import sys

pid, words = sys.argv[1], sys.argv[2:]
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
    for line in maps:
        span, rights, *rest = line.split()
        if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
            continue
        begin, end = (int(part, 16) for part in span.split("-"))
        memory.seek(begin)
        try:
            octets = memory.read(end - begin)
        except OSError:
            continue
        for word in words:
            for found in re.finditer(re.escape(word.encode()), octets):
                at = found.start()
                print(f"{word} at {begin + at:x} {rest[3:]}: {octets[max(0, at - 24):at + len(word) + 24]!r}")
