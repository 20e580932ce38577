"""Run a command where there is no network but loopback, and a name server that notes questions.

`unshare --net --mount python loopback_only.py NOTES command …`, as root or with --map-root-user.
Whatever asks for a name by libc, in Python or in C, asks this server; it answers that there is
none, and writes a line for each question to the file NOTES.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
SETTINGS = {
    "/etc/resolv.conf": "nameserver 127.0.0.1\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
}
HEADER = 12  # octets: RFC 1035, 4.1.1
NO_SUCH_NAME = 0x8183  # a response, recursion desired and available, RCODE 3


def raise_loopback() -> None:
    """Bring up lo, as `ip link set lo up` does (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked), 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def name_in(question: bytes) -> str:
    """The name that a query asks for."""
    labels, at = [], HEADER
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode(errors="replace"))
        at += 1 + length
    return ".".join(labels)


def answer(server: socket.socket, notes: Path) -> None:
    """Note every question, and say that there is no such name."""
    while True:
        question, client = server.recvfrom(4096)
        with notes.open("a") as file:
            file.write(name_in(question) + "\n")
        end = HEADER + question[HEADER:].index(0) + 5
        head = question[:2] + struct.pack("!5H", NO_SUCH_NAME, 1, 0, 0, 0)
        server.sendto(head + question[HEADER:end], client)


def main() -> int:
    """Return the command's exit status."""
    notes, *command = sys.argv[1:]
    raise_loopback()
    for place, text in SETTINGS.items():
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            Path(file.name).chmod(0o644)
            subprocess.run(["mount", "--bind", file.name, place], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=answer, args=(server, Path(notes)), daemon=True).start()
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
