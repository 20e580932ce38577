"""The type of the file system that a path is on, as the kernel tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_apps.instruments import memory

MOUNTINFO = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:30 / /tmp rw shared:5 - tmpfs tmpfs rw,size=1g
31 27 0:31 / /tmp/a\040disk rw shared:6 master:1 - xfs /dev/vdb rw
32 27 0:32 / /mnt rw - ext3 /dev/vdc rw
33 27 0:33 / /mnt rw - btrfs /dev/vdd rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/tmp", "tmpfs"),
        ("/tmp/lab-test-none/x", "tmpfs"),
        ("/tmpx", "ext4"),  # a name that begins alike
        ("/tmp/a disk/x", "xfs"),
        ("/mnt/lab-test-none", "btrfs"),  # the later mount hides the earlier
        ("/mnt/../tmp", "tmpfs"),
    ],
)
def test_filesystem(path: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTINFO.lstrip())
    monkeypatch.setattr(memory, "SELF", tmp_path)
    assert memory.filesystem(path) == kind


def test_filesystem_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "SELF", tmp_path)
    assert memory.filesystem("/") == "unknown"


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="needs /proc")
def test_filesystem_of_this_machine(tmp_path: Path) -> None:
    assert memory.filesystem("/proc/self") == "proc"
    devices = {mount.device: mount.kind for mount in memory.mounts()}
    assert memory.filesystem(tmp_path) == devices.get(
        tmp_path.stat().st_dev, memory.filesystem(tmp_path)
    )
