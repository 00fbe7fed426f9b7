"""Builds images without an engine, with buildah, from a base made on this machine by debootstrap.

Nothing is pulled. What is made lies in a folder of the user's cache: the base stays there, the rest goes when the
tests end.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")


def missing():
    """Why no image can be built here; empty where one can."""
    absent = [name for name in ("buildah", "debootstrap", "git") if not shutil.which(name)]
    if absent:
        return f"needs {' and '.join(absent)}: apt-get install {' '.join(absent)}"
    return "" if os.geteuid() == 0 else "needs to be root: debootstrap makes a system of files, and buildah runs in it"


def cache_folder():
    """Where the base stays from one run to the next."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "comfyui-workflow-engine-images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def bare_system():
    """A folder with the smallest system of this machine's distribution, and the name of that."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = release["VERSION_CODENAME"].strip('"')
    folder = cache_folder() / suite
    if not folder.exists():
        part = folder.with_name(f"{suite}.part")
        shutil.rmtree(part, ignore_errors=True)
        components = "main,universe" if release["ID"] == "ubuntu" else "main"
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--components={components}", suite, part],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for kept in [*part.glob("var/cache/apt/*.bin"), *part.glob("var/cache/apt/archives/*.deb")]:
            kept.unlink()
        # As the distribution's own images have it: apt keeps nothing.
        (part / "etc/apt/apt.conf.d/docker-clean").write_text(
            'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
            'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n'
        )
        part.rename(folder)
    return folder, release["PRETTY_NAME"].strip('"')


class Buildah:
    """Images in a store of their own.

    Attributes:
        driver: how the store keeps layers: `overlay` where this machine's kernel and disk allow it, else `vfs`, which
            copies everything for every layer.
    """

    def __init__(self, folder):
        self._folder = folder
        self.driver = "overlay"
        try:
            self._call("rm", self._call("from", "scratch").stdout.strip())
        except subprocess.CalledProcessError:
            self.driver = "vfs"
            shutil.rmtree(folder)
        self._mounts = self._configuration(folder.with_name(f"{folder.name}-configuration"))

    def close(self):
        """Remove every image, and the store."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._call("rm", "--all")
            self._call("rmi", "--all", "--force")
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._folder.with_name(f"{self._folder.name}-configuration"), ignore_errors=True)

    def image_of(self, folder, name):
        """An image whose files are those of a folder."""
        with self.container("scratch") as (container, root):
            subprocess.run(["cp", "--archive", f"{folder}/.", root], check=True)
            self._call("commit", "--quiet", container, name)

    def build(self, context, tag, *options, file="Dockerfile", arguments=(), mounts=(), secrets=()):
        """Build an image; gives the seconds that it took and what was printed.

        Args:
            arguments: `(name, value)` of the build.
            mounts: `host:inside` of folders that its steps can read.
            secrets: `(id, path)`.

        Raises:
            BuildFailed: a step failed, with what was printed.
        """
        # vfs would take a full copy for every step, so only the others keep steps for the next build.
        layers = [] if self.driver == "vfs" else ["--layers"]
        words = ["bud", *layers, "--isolation", "chroot", "--network", "host", "--pull-never"]
        words += ["--file", f"{context}/{file}", "--tag", tag]
        for name, value in dict(arguments).items():
            words += ["--build-arg", f"{name}={value}"]
        for mount in [*self._mounts, *mounts]:
            words += ["--volume", f"{mount}:ro"]
        for identifier, path in secrets:
            words += ["--secret", f"id={identifier},src={path}"]
        began = time.monotonic()
        done = self._call(*words, *options, str(context), check=False)
        if done.returncode:
            raise BuildFailed(done.stdout + done.stderr)
        return time.monotonic() - began, done.stdout + done.stderr

    def inspect(self, image):
        """The configuration that a container of the image starts with, and the size of the image in bytes."""
        document = json.loads(self._call("inspect", "--type", "image", image).stdout)
        (listed,) = json.loads(self._call("images", "--json", image).stdout)
        return document["OCIv1"]["config"], document, listed["size"]

    @contextlib.contextmanager
    def container(self, image):
        """A container of an image, and the folder that its files are seen in."""
        container = self._call("from", "--pull-never", image).stdout.strip()
        try:
            yield container, Path(self._call("mount", container).stdout.strip())
        finally:
            self._call("rm", container)

    def run(self, container, *command, mounts=(), **environment):
        """Run a command in a container, with the environment of its image and more; the finished process."""
        words = ["run", "--isolation", "chroot", "--network", "host"]
        for name, value in environment.items():
            words += ["--env", f"{name}={value}"]
        for mount in mounts:
            words += ["--volume", mount]
        return self._call(*words, container, "--", *command, check=False)

    def _call(self, *words, check=True):
        store = ["--root", self._folder / "store", "--runroot", self._folder / "run", "--storage-driver", self.driver]
        done = subprocess.run(["buildah", *store, *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, words[0], done.stdout, done.stderr)
        return done

    def _configuration(self, folder):
        """What the steps of a build need to trust the network of this machine."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
        (folder / "uv.toml").write_text("system-certs = true\n")
        mounts = [f"{folder}/pip.conf:/etc/pip.conf", f"{folder}/uv.toml:/etc/uv/uv.toml"]
        if CERTIFICATES.is_file():
            # Where the package ca-certificates finds it, once it is installed.
            mounts.append(f"{CERTIFICATES}:/usr/local/share/ca-certificates/machine.crt")
        return mounts


class BuildFailed(Exception):
    """A step of a build failed. Its text is what was printed."""
