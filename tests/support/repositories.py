"""Repositories of git, made for a test."""

import subprocess

_WHO = ("-c", "user.name=Test", "-c", "user.email=test@x.example", "-c", "init.defaultBranch=main")


def git(folder, *arguments):
    """Run git in a folder, as nobody in particular; gives what it says."""
    done = subprocess.run(["git", *_WHO, "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder, **files):
    """Make a repository of these files, by their stems (Python), with one commit; gives the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")
