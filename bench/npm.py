"""Run the peers from npm, installed into a temporary folder: mjml and juice, each mjml in one warm Node process.

nodemailer, which sends, is installed with them and run by ``sending``.

Nothing of npm is kept: no lock file, no package. Where Node or npm is missing, or nothing can be installed, the peers
are missing, and the results say so.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from measure import Sample, clean_environ

PACKAGES = {"mjml": "mjml", "mjml4": "mjml4@npm:mjml@4", "juice": "juice", "nodemailer": "nodemailer"}
"""What is installed, by the name it is loaded with: the newest that suit this Node, and mjml's fourth series too."""
_INSTALL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Side:
    """Name one peer: which mjml, and whether juice is called as its README does (``plain``) or does the ``least``."""

    package: str
    manner: str


SIDES = (Side("mjml", "plain"), Side("mjml", "least"), Side("mjml4", "least"))


@dataclass(frozen=True, slots=True)
class Peers:
    """Hold the folder in which the peers are installed, and their versions by name, or why there are none."""

    folder: Path
    versions: dict[str, str]
    missing: str = ""

    def name(self, side: Side) -> str:
        """Return how results name a side, with its version."""
        least = ", told to do the least" if side.manner == "least" else ""
        return f"mjml {self.versions[side.package]} + juice{least}"


def install_peers(folder: Path) -> Peers:
    """Install the peers into ``folder``, unless they are there, and return their versions."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return Peers(folder, {}, "npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "nodemailer").is_dir():
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        try:
            done = subprocess.run(
                [*command, "--prefix", str(folder), *PACKAGES.values()],
                capture_output=True,
                text=True,
                timeout=_INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Peers(folder, {}, f"npm took more than {_INSTALL_SECONDS} s to install them")
        if done.returncode:
            return Peers(folder, {}, "npm could not install them")
    versions = {name: _version(folder / "node_modules" / name) for name in PACKAGES}
    return Peers(folder, versions | {"node": _printed([node, "--version"]), "npm": _printed([npm, "--version"])})


def _version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])


def _printed(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().removeprefix("v")


class NodePeer:
    """Hold a warm Node process that compiles ``mjml`` and inlines ``css``, once for each call of ``run``."""

    def __init__(self, peers: Peers, side: Side, mjml: Path, css: Path) -> None:
        script = Path(__file__).with_name("peer.js")
        self._child = subprocess.Popen(
            ["node", str(script), str(peers.folder), side.package, side.manner, str(mjml), str(css)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environ(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._child.communicate()

    def ask(self, what: str = "") -> dict[str, Any]:
        """Compile once and return the answer; ``"html"`` asks for the HTML as well."""
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(f"{what}\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit("the Node process ended; nothing can be compared")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self) -> Sample:
        """Compile once and measure it, inside the Node process."""
        answer = self.ask()
        return Sample(answer["wall_s"], answer["user_s"])
