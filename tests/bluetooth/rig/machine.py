"""The guest in QEMU, the simulated radio beside it, and the two lines to them.

A machine lives in a folder of its own: sockets, logs, and `state.json` with the numbers of its processes. QEMU always
emulates (`-accel tcg`): a `/dev/kvm` that opens is no proof that it works, and a hung accelerator has no fallback.
"""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import cache

STARTED = time.monotonic()
QEMU = "qemu-system-x86_64"
# `quiet` and the rest: less to emulate, and no complaints about a slow clock on a busy machine.
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check "
    "rcupdate.rcu_cpu_stall_suppress=1 cryptomgr.notests=1"
)
HARDWARE = (
    *("-accel", "tcg,thread=single,tb-size=128", "-cpu", "max", "-smp", "1", "-m", "192"),
    *("-M", "pc,usb=off", "-bios", "qboot.rom", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
    *("-serial", "file:console.log"),
    *("-chardev", "socket,id=radio,path=radio.sock,server=on,wait=off", "-serial", "chardev:radio"),
    *("-chardev", "socket,id=control,path=control.sock,server=on,wait=off", "-serial", "chardev:control"),
    *("-qmp", "unix:qmp.sock,server=on,wait=off"),
)
SOCKETS = ("radio.sock", "control.sock", "qmp.sock", "simulator.sock")
ADAPTER_POWERED = (
    *("/org/bluez/hci0", "org.freedesktop.DBus.Properties.Get"),
    *("string:org.bluez.Adapter1", "string:Powered"),
)
BOOT_SECONDS_MAX = 240
ANSWER_SECONDS_MAX = 60


def say(text):
    """One line for people, with the seconds since the start."""
    print(f"rig {time.monotonic() - STARTED:6.2f} s  {text}", file=sys.stderr, flush=True)


def wait_for(what, ask, seconds_max=ANSWER_SECONDS_MAX):
    """Asks until the answer is true, and gives it."""
    end = time.monotonic() + seconds_max
    while time.monotonic() < end:
        try:
            answer = ask()
        except (OSError, subprocess.TimeoutExpired):
            answer = None
        if answer:
            return answer
        time.sleep(0.05)
    raise SystemExit(f"rig: {what} did not come within {seconds_max} s")


class Qmp:
    """QEMU's own control line."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS_MAX)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rw")
        self.lines.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        # Events come between; the end of the file is an error of json.
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                raise SystemExit(f"rig: QEMU refuses {command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]


class Machine:
    """A guest and its radio; the port of its bus stays the same."""

    def __init__(self, folder, dies_with_parent=False):
        self.quiet = False
        self.folder = pathlib.Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dies_with_parent = dies_with_parent
        self.state_file = self.folder / "state.json"
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}

    def _remember(self, **what):
        self.state.update(what)
        self.state_file.write_text(json.dumps(self.state))

    def environment(self):
        """What a program needs to use this machine."""
        bus = f"tcp:host=127.0.0.1,port={self.state['port']}"
        return {"DBUS_SYSTEM_BUS_ADDRESS": bus, "BLUETOOTH_RIG": str(self.folder)}

    # --- Processes ---
    def _start(self, name, arguments):
        # It ends with this process, however that ends.
        bound = ["setpriv", "--pdeathsig", "TERM"] if self.dies_with_parent else []
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                bound + arguments, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True)
        self._remember(**{name: process.pid})
        return process

    def _end(self, name):
        number = self.state.pop(name, None)
        self._remember()
        # A number may be somebody else's by now: ours run in this folder.
        if number is None or not self._is_ours(number):
            return
        os.kill(number, signal.SIGTERM)
        end = time.monotonic() + 5
        while self._is_ours(number) and time.monotonic() < end:
            try:
                os.waitpid(number, os.WNOHANG)
            except ChildProcessError:
                pass
            time.sleep(0.02)
        if self._is_ours(number):
            os.kill(number, signal.SIGKILL)

    def _is_ours(self, number):
        try:
            return pathlib.Path(os.readlink(f"/proc/{number}/cwd")) == self.folder
        except OSError:
            return False

    def _start_qemu(self, incoming=None):
        for name in SOCKETS:
            (self.folder / name).unlink(missing_ok=True)
        if "port" not in self.state:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._remember(port=probe.getsockname()[1])
        image = cache.image()
        network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.state['port']}-:5550"
        arguments = [QEMU, *HARDWARE, "-kernel", image / "vmlinux", "-initrd", image / "initrd.img"]
        arguments += ["-append", KERNEL_ARGUMENTS, "-netdev", network]
        arguments += ["-device", "virtio-net-pci,netdev=net,romfile="]
        if incoming:
            arguments += ["-incoming", f"exec:cat '{incoming}'"]
        return self._start("qemu", arguments)

    # --- The snapshot ---
    @staticmethod
    def snapshot_file():
        """Where the snapshot is: it fits only this QEMU with these arguments."""
        version = subprocess.run([QEMU, "--version"], check=True, capture_output=True).stdout
        made_by = hashlib.sha256(version + repr((HARDWARE, KERNEL_ARGUMENTS)).encode()).hexdigest()[:12]
        return cache.image() / f"snapshot-{made_by}"

    @classmethod
    def snapshot(cls):
        """A running guest with bluetoothd and no adapter, as a file; booted and saved if there is none."""
        with cache.locked():
            saved = cls.snapshot_file()
            if not saved.exists():
                machine = cls(tempfile.mkdtemp(prefix="rig-boot-"), dies_with_parent=True)
                try:
                    machine._boot_and_save(saved)
                finally:
                    machine._end("qemu")
                    shutil.rmtree(machine.folder, ignore_errors=True)
            return saved

    def _boot_and_save(self, saved):
        qemu = self._start_qemu()
        console = self.folder / "console.log"
        said = lambda: console.read_text(errors="replace") if console.exists() else ""
        wait_for("the guest", lambda: qemu.poll() is not None or "rig: bluetoothd" in said(), BOOT_SECONDS_MAX)
        if "rig: bluetoothd answers" not in said():
            log = (self.folder / "qemu.log").read_text(errors="replace")
            raise SystemExit(f"rig: the guest does not come up:\n{log}{said()}")
        self.control("sh true")
        say("the guest is up")
        qmp = Qmp(self.folder / "qmp.sock")
        part = saved.with_suffix(".part")
        qmp("stop")
        qmp("migrate-set-parameters", **{"max-bandwidth": 10**10})
        qmp("migrate", uri=f"exec:cat > '{part}'")
        wait_for("the snapshot", lambda: qmp("query-migrate").get("status") == "completed")
        qmp("quit")
        qemu.wait(10)
        part.rename(saved)
        say(f"a snapshot of {saved.stat().st_size >> 20} MiB is kept")

    # --- What people and tests ask for ---
    def up(self):
        """A guest from the snapshot, a radio, a powered adapter."""
        saved = self.snapshot()
        qemu = self._start_qemu(incoming=saved)
        try:
            qmp = wait_for("QEMU", lambda: (self.folder / "qmp.sock").exists() and Qmp(self.folder / "qmp.sock"))
            # A guest comes back paused.
            wait_for("the guest", lambda: qmp("query-status")["status"] == "paused")
            qmp("cont")
            wait_for("bluetoothd", lambda: self._bluetoothd_says("/", "org.freedesktop.DBus.Peer.Ping") is not None)
            self._start_simulator()
            self._attach()
        except SystemExit:
            say(f"QEMU said: {(self.folder / 'qemu.log').read_text(errors='replace')} and ended with {qemu.poll()}")
            raise
        return self

    def _start_simulator(self):
        radio = ["--hub", f"unix-client:{self.folder / 'radio.sock'}"]
        program = [cache.python(), cache.HERE / "blesim", *radio, "--control", "simulator.sock"]
        process = self._start("simulator", program)
        wait_for("the simulator", lambda: (self.folder / "simulator.sock").exists() or process.poll() is not None)
        if process.poll() is not None:
            raise SystemExit(f"rig: the simulator ended:\n{(self.folder / 'simulator.log').read_text()}")

    def _attach(self):
        self.control("attach")
        wait_for("the adapter", lambda: "boolean true" in (self._bluetoothd_says(*ADAPTER_POWERED) or ""))
        if not self.quiet:
            say("the adapter is powered")

    def _bluetoothd_says(self, path, method, *arguments):
        call = ["dbus-send", "--system", "--print-reply", "--reply-timeout=3000", "--dest=org.bluez"]
        answer = subprocess.run(
            [*call, path, method, *arguments], env={**os.environ, **self.environment()},
            capture_output=True, text=True, timeout=5)
        return answer.stdout if answer.returncode == 0 else None

    def reset(self):
        """The snapshot again: no devices, no bonds, and a kernel that nothing has happened to."""
        self.down()
        self.up()

    def unplug(self):
        """The adapter is pulled out. Its line is cut too, so that no half a packet is left on it."""
        self.control("detach")
        self.simulator({"cmd": "unplug"})

    def plug(self):
        """The adapter is back, as new."""
        self.simulator({"cmd": "plug"})
        self.control("attach")

    def control(self, line):
        """One line to the guest; all it answers, the last line being `ok …` or `? …`."""
        with socket.socket(socket.AF_UNIX) as guest:
            guest.settimeout(ANSWER_SECONDS_MAX)
            guest.connect(str(self.folder / "control.sock"))
            guest.sendall(line.encode() + b"\n")
            lines = guest.makefile(encoding="utf-8", errors="replace")
            said = []
            for line in lines:
                said.append(line.rstrip("\r\n"))
                if said[-1].startswith(("ok ", "? ")):
                    break
            return "\n".join(said)

    def simulator(self, command):
        """One command to the simulator; its answer."""
        with socket.socket(socket.AF_UNIX) as radio:
            radio.settimeout(ANSWER_SECONDS_MAX)
            radio.connect(str(self.folder / "simulator.sock"))
            lines = radio.makefile("rw")
            lines.write(json.dumps(command) + "\n")
            lines.flush()
            for line in lines:
                answer = json.loads(line)
                if "ok" in answer:
                    return answer
        raise SystemExit("rig: the simulator does not answer")

    def down(self):
        """Ends both processes; the folder stays, with the logs."""
        self._end("simulator")
        self._end("qemu")
