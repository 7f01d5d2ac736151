"""What the rig builds once and keeps: the guest's image, a snapshot of it and a Python that has bumble.

Everything lies in one folder, by default `target/bluetooth-rig` (`BLUETOOTH_RIG_CACHE` names another), under names
that hold a digest of what it was made from: whatever changes makes a new one beside the old.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
IMAGE_SOURCES = ("build-image", "guest/init", "guest/modules", "guest/packages")
SIMULATOR_SOURCES = ("requirements.txt",)


def folder():
    """The folder of all that is kept."""
    target = os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target"
    kept = pathlib.Path(os.environ.get("BLUETOOTH_RIG_CACHE") or pathlib.Path(target) / "bluetooth-rig")
    kept.mkdir(parents=True, exist_ok=True)
    return kept.resolve()


def digest(names):
    """Twelve digits that change with any of these files."""
    whole = hashlib.sha256()
    for name in names:
        text = (HERE / name).read_bytes()
        whole.update(f"{name} {len(text)}\n".encode() + text)
    return whole.hexdigest()[:12]


def image():
    """Where the guest's kernel and files are."""
    return folder() / f"image-{digest(IMAGE_SOURCES)}"


def python():
    """The Python that has bumble."""
    return folder() / f"python-{digest(SIMULATOR_SOURCES)}" / "bin" / "python"


@contextlib.contextmanager
def locked():
    """Two who prepare at once wait for each other."""
    with open(folder() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start_image():
    """Begins to build the image; `None` if it is there."""
    if (image() / "initrd.img").exists():
        return None
    return subprocess.Popen([HERE / "build-image", image(), folder() / "packages"], stdout=sys.stderr)


def _make_python():
    """An environment of its own, complete or absent: it is made under another name and then renamed."""
    final = python().parent.parent
    if python().exists():
        return
    # Programs of an environment hold its path, so only the interpreter is used, as `python -m`.
    part = pathlib.Path(tempfile.mkdtemp(prefix="python-", dir=folder()))
    try:
        subprocess.run([sys.executable, "-m", "venv", part], check=True, stdout=sys.stderr)
        pip = [part / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        only = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", HERE / "requirements.txt"]
        subprocess.run(pip + only, check=True, stdout=sys.stderr)
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def prepare():
    """Makes what is missing, image and Python at the same time."""
    with locked():
        building = _start_image()
        try:
            _make_python()
        finally:
            code = building.wait() if building else 0
        if code:
            raise SystemExit("rig: the image cannot be built, see above")
