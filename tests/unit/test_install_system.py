"""`scripts/install-system` on machines made of a folder, with stubs in the place of apt-get, sudo and systemctl."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/install-system"
TOOLS = ("bash", "cat", "chmod", "dirname", "env", "rm", "tee")

# What there is for each package, below the root.
FONTS = "usr/share/fonts"
RUN = {
    "mariadb-server": ("usr/sbin/mariadbd", "usr/sbin/mariadb-install-db"),
    "redis-server": ("usr/sbin/redis-server",),
    "fonts-dejavu-core": (f"{FONTS}/truetype/dejavu/DejaVuSans.ttf",),
    "fonts-droid-fallback": (f"{FONTS}/truetype/droid/DroidSansFallbackFull.ttf",),
    "fonts-nanum": (f"{FONTS}/truetype/nanum/NanumMyeongjo.ttf",),
    "fonts-lohit-deva": (f"{FONTS}/truetype/lohit-devanagari/Lohit-Devanagari.ttf",),
    "fonts-urw-base35": (f"{FONTS}/opentype/urw-base35/P052-Roman.otf",),
}
TEST = {
    "chromium": ("usr/sbin/chromium",),
    "poppler-utils": ("usr/sbin/pdftotext", "usr/sbin/pdftoppm"),
    "zbar-tools": ("usr/sbin/zbarimg",),
    "coturn": ("usr/sbin/turnserver",),
    "nodejs": ("usr/sbin/node",),
    "npm": ("usr/sbin/npm",),
}
BENCH = {
    "wrk": ("usr/sbin/wrk",),
    "nghttp2-client": ("usr/sbin/h2load",),
}
APT = """
echo "apt-get $*" >>"$LOG"
[ ! -x "$INSTALL_ROOT/usr/sbin/policy-rc.d" ] || echo guarded >>"$LOG"
exit "${APT_STATUS:-0}"
"""


class Machine:
    """A folder that is the root of a machine."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.log = folder / "log"
        self.bin = folder / "bin"
        self.script = folder / "project/scripts/install-system"
        for path in (self.root / "usr/sbin", self.bin, self.script.parent):
            path.mkdir(parents=True)
        shutil.copy(SCRIPT, self.script)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.stub("python3", "exit 0")
        self.stub("apt-get", APT)
        self.user(0)

    def stub(self, name: str, text: str) -> None:
        self.put(self.bin / name, f"#!/bin/bash\n{text}\n")

    def user(self, number: int) -> None:
        self.stub("id", f"echo {number}")

    def put(self, path: Path, text: str = "#!/bin/sh\n") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def install(self, *packages: str) -> None:
        """Put there what these packages bring."""
        for package in packages:
            for path in {**RUN, **TEST, **BENCH}[package]:
                self.put(self.root / path)

    def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """The status and what was said."""
        variables = {"PATH": str(self.bin), "HOME": os.devnull, "LOG": str(self.log), "INSTALL_ROOT": str(self.root), **settings}
        done = subprocess.run(
            [self.script, *arguments], env=variables, capture_output=True, text=True, timeout=30, check=False
        )  # fmt: skip
        return done.returncode, done.stderr

    @property
    def calls(self) -> list[str]:
        """What the stubs were called with."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def guard(self) -> Path:
        return self.root / "usr/sbin/policy-rc.d"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def apt(packages: Sequence[str]) -> list[str]:
    """What apt-get is called with: once for all, while nothing that is installed may start."""
    return ["apt-get update -q", f"apt-get install -q -y --no-install-recommends {' '.join(packages)}", "guarded"]


@pytest.mark.parametrize(
    ("purpose", "packages"), [("run", [*RUN]), ("", [*RUN]), ("test", [*RUN, *TEST]), ("bench", [*RUN, *BENCH])]
)
def test_a_bare_machine_gets_all_in_one_call(machine: Machine, purpose: str, packages: list[str]) -> None:
    assert machine.run(*filter(None, [purpose]))[0] == 0
    assert machine.calls == apt(packages)
    assert not machine.guard.exists()


def test_nothing_is_done_where_all_is_there(machine: Machine) -> None:
    machine.install(*RUN)
    assert machine.run() == (0, "")
    assert machine.calls == []
    machine.install(*TEST)
    assert machine.run("test") == (0, "")
    machine.install(*BENCH)
    assert machine.run("bench") == (0, "")
    assert machine.calls == []


@pytest.mark.parametrize("missing", [*RUN, *TEST])
def test_only_what_is_missing_is_installed(machine: Machine, missing: str) -> None:
    machine.install(*({**RUN, **TEST}.keys() - {missing}))
    assert machine.run("test")[0] == 0
    assert machine.calls == apt([missing])


def test_any_chromium_will_do(machine: Machine) -> None:
    machine.install(*RUN, *(TEST.keys() - {"chromium"}))
    machine.put(machine.root / "usr/sbin/google-chrome")
    assert machine.run("test") == (0, "")


def test_services_are_disabled_but_those_of_before_are_let_be(machine: Machine) -> None:
    (machine.root / "run/systemd/system").mkdir(parents=True)
    machine.stub("systemctl", 'echo "systemctl $*" >>"$LOG"')
    machine.install("mariadb-server")
    assert machine.run("test")[0] == 0
    assert [call for call in machine.calls if call.startswith("systemctl")] == [
        "systemctl disable --now --quiet redis-server",
        "systemctl disable --now --quiet coturn",
    ]


def test_a_guard_that_was_there_stays(machine: Machine) -> None:
    machine.put(machine.guard, "#!/bin/sh\nexit 101 # mine\n")
    assert machine.run()[0] == 0
    assert "mine" in machine.guard.read_text()


def test_a_failed_installation_fails_and_leaves_no_guard(machine: Machine) -> None:
    machine.stub("apt-get", APT.replace("exit", '[ "$1" = update ] || exit'))
    status, _ = machine.run(APT_STATUS="100")
    assert status == 100
    assert not machine.guard.exists()


def test_users_need_sudo_or_are_told(machine: Machine) -> None:
    machine.user(1000)
    status, said = machine.run("test")
    assert status == 1
    assert f"apt-get install {' '.join([*RUN, *TEST])}" in said
    assert machine.calls == []
    machine.stub("sudo", 'echo "sudo $1" >>"$LOG"; exec "$@"')
    assert machine.run("test")[0] == 0
    assert "sudo apt-get" in machine.calls
    assert not machine.guard.exists()


def test_other_systems_are_told_what_is_needed(machine: Machine) -> None:
    (machine.bin / "apt-get").unlink()
    status, said = machine.run()
    assert status == 1
    assert "MariaDB" in said
    machine.install("mariadb-server", "redis-server")
    assert machine.run() == (0, "")
    assert machine.run("test")[0] == 1
    machine.install(*TEST)
    assert machine.run("test") == (0, "")
    assert machine.run("bench")[0] == 1
    machine.install(*BENCH)
    assert machine.run("bench") == (0, "")


def test_other_arguments_are_refused(machine: Machine) -> None:
    assert machine.run("everything")[0] == 2
    assert machine.calls == []
