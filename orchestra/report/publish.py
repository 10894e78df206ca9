"""A report as one commit of git, without a touch on index or work tree.

The tree is made in an index of its own, and the ref is moved by compare-and-swap: a ref that moved concurrently is read
again, and the other commit is preserved. A checked-out branch is refused: its work tree would show the new files as
removed, and the next commit would remove them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestra import git
from orchestra.errors import MachineError, UsageError

TRIES = 5
"""The number of concurrent moves of a ref before giving up."""

SECONDS = 60.0
PUSH_SECONDS = 600.0
"""The limit of git; a push goes over a network."""

_NONE = "0" * 40


@dataclass(frozen=True, slots=True)
class Published:
    """The result of a commit.

    Attributes:
        ref: its full name.
        commit: the hash of the commit on it.
        fresh: whether it is new; False when the ref held the same files already.
    """

    ref: str
    commit: str
    fresh: bool


class Git:
    """git in one work tree.

    Args:
        root: a folder of the work tree.

    Raises:
        UsageError: it is in none.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        code, text = self._run(["rev-parse", "--is-inside-work-tree"])
        if code and (why := git.untrusted(text, root)):
            raise UsageError(f"nothing can be committed: {why}")
        if code:
            raise UsageError(f'"{root}" is in no git work tree, so there is nothing to commit to', "run `git init`")
        self._prefix = self.told("rev-parse", "--show-prefix")

    def full_name(self, ref: str) -> str:
        """Return the full name of a ref: `refs/…` as it is, anything else as a branch.

        Raises:
            UsageError: it is no name for a ref, or a branch that is checked out.
        """
        full = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        if self._run(["check-ref-format", full])[0]:
            raise UsageError(f'"{ref}" is not a name for a git ref', "name a branch, or refs/orchestra/NAME")
        listed = self.told("worktree", "list", "--porcelain").splitlines()
        if f"branch {full}" in listed:
            raise UsageError(
                f'the branch "{full.removeprefix("refs/heads/")}" is checked out: its work tree would not have the commit',
                "name another branch, or leave --ref out, and merge it",
            )
        return full

    def publish(self, ref: str, files: Mapping[str, bytes], message: str) -> Published:
        """Put files on a ref in one commit; what else the ref has stays.

        Args:
            ref: its full name; it is made if it is not there.
            files: contents by path relative to the root.
            message: of the commit.

        Raises:
            MachineError: git refuses, or the ref moved again and again.
        """
        blobs = {path: self.told("hash-object", "-w", "--stdin", given=content) for path, content in files.items()}
        for _ in range(TRIES):
            code, old = self._run(["rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"])
            parent = old.strip() if code == 0 else ""
            tree = self._tree(parent, blobs)
            if parent and tree == self.told("rev-parse", f"{parent}^{{tree}}"):
                return Published(ref, parent, fresh=False)
            above = ["-p", parent] if parent else []
            commit = self.told("commit-tree", tree, *above, given=message.encode())
            if self._run(["update-ref", "-m", "orchestra report", ref, commit, parent or _NONE])[0] == 0:
                return Published(ref, commit, fresh=True)
        raise MachineError(f"another process moved {ref} {TRIES} times in a row", "try again")

    def push(self, ref: str, remote: str) -> None:
        """Bring a ref to a remote under the same name. Raises MachineError when git or the remote refuses."""
        self.told("push", "--quiet", remote, f"{ref}:{ref}")

    def _tree(self, parent: str, blobs: Mapping[str, str]) -> str:
        with tempfile.TemporaryDirectory(prefix="orchestra-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.told("read-tree", parent or "--empty", env=index)
            entries = "".join(f"100644 {blob}\t{self._prefix}{path}\0" for path, blob in sorted(blobs.items()))
            self.told("update-index", "-z", "--index-info", given=entries.encode(), env=index)
            return self.told("write-tree", env=index)

    def told(self, *words: str, given: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Return the output of git. Raises MachineError if its exit code is not 0."""
        code, text = self._run(words, given, env)
        if code:
            raise MachineError(f"`git {' '.join(words[:2])}` refuses: {text.strip()}", "fix that, and try again")
        return text.removesuffix("\n")

    def _run(self, words: Sequence[str], stdin: bytes = b"", env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Return the exit code, and stdout, or stderr where it is not 0."""
        push = words[0] == "push"
        seconds = PUSH_SECONDS if push else SECONDS
        answer = git.ask(self.root, words, given=stdin, env=env, seconds=seconds, interactive=push)
        if answer.code is None:
            raise MachineError(
                answer.err, "install git" if "started" in answer.err else "see what it waits for, and try again"
            )
        return answer.code, answer.err if answer.code else answer.out.decode(errors="replace")
