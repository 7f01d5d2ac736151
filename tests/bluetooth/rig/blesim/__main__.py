"""Simulated health devices and the air between them and one adapter, which is the line `--hub`.

Commands are lines of JSON on the socket `--control`, each with one line as answer (`"ok"`); events of all devices come as
lines with `"event"`. `tests/bluetooth/README.md` lists both.
"""
import argparse
import asyncio
import collections
import json
import logging
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from peripheral import Peripheral  # noqa: E402
from radio import Adapter, Link  # noqa: E402

STARTED = time.monotonic()
# The last events are kept for those who ask later.
EVENTS_KEPT_MAX = 10_000
# What `change` may change.
CHANGEABLE = ("per_second", "hang_up_after", "record_gap", "mute", "ignores_requests", "values", "security_request")


class Simulator:
    """All devices, and who listens."""

    def __init__(self, hub):
        self.link = Link()
        self.adapter = Adapter(hub, self.link)
        self.devices = {}
        self.made = 0
        self.listeners = set()
        self.events = collections.deque(maxlen=EVENTS_KEPT_MAX)
        self.tasks = set()

    def keep(self, work):
        """Runs it beside; a task nobody holds may vanish."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def event(self, event, **more):
        said = dict(event=event, t=round(time.monotonic() - STARTED, 3), **more)
        self.events.append(said)
        for writer in list(self.listeners):
            writer.write(json.dumps(said).encode() + b"\n")

    async def command(self, words):
        """Does one command; what is to be answered."""
        command = words.pop("cmd")
        if command in ("add", "list", "events", "unplug", "plug"):
            return await getattr(self, f"_{command}")(**words)
        device = self.devices[words.pop("name")]
        return await getattr(self, f"_on_{command}")(device, **words) or {}

    async def _add(self, name, **options):
        if name in self.devices:
            raise ValueError(f"there is a device {name}")
        self.made += 1
        device = self.devices[name] = Peripheral(self, self.made, name, **options)
        await device.start()
        return dict(address=str(device.address).split("/")[0])

    async def _list(self):
        return dict(devices={name: dict(
            kind=device.kind, connected=device.connection is not None, advertising=device.device.is_advertising,
            address=str(device.device.random_address).split("/")[0], records=len(device.records.kept),
            subscribed=[uuid for uuid, on in device.subscribed.items() if on],
        ) for name, device in self.devices.items()})

    async def _events(self, name=None, event=None):
        chosen = [said for said in self.events if name in (None, said.get("name")) and event in (None, said["event"])]
        return dict(events=chosen)

    async def _unplug(self):
        await self.adapter.close()
        return {}

    async def _plug(self):
        await self.adapter.open()
        return {}

    async def _on_advertise(self, device):
        device.wants_advertising = True
        await device.advertise()

    async def _on_stop_advertising(self, device):
        device.wants_advertising = False
        await device.stop_advertising()

    async def _on_vanish(self, device):
        await device.vanish()

    async def _on_hang_up(self, device, advertise=None):
        device.wants_advertising = device.wants_advertising if advertise is None else advertise
        await device.hang_up()

    async def _on_measure(self, device, value=None, cut=0, pad=0, burst=None):
        return dict(number=await device.measure(value or {}, cut=cut, pad=pad, burst=burst))

    async def _on_send(self, device, char, hex):
        return dict(sent=await device.send(char, bytes.fromhex(hex)))

    async def _on_set(self, device, char, hex):
        device.characteristics[char].value = bytes.fromhex(hex)

    async def _on_change(self, device, **changes):
        unknown = [name for name in changes if name not in CHANGEABLE]
        if unknown:
            raise ValueError(f"cannot change {', '.join(unknown)}")
        for name, value in changes.items():
            setattr(device, name, value)

    async def _on_rotate(self, device):
        return dict(address=(await device.rotate()).split("/")[0])

    async def _on_forget(self, device):
        device.forget()

    async def _on_remove(self, device):
        await device.remove()
        del self.devices[device.name]

    async def serve(self, reader, writer):
        """One client of the control socket."""
        self.listeners.add(writer)
        try:
            while line := await reader.readline():
                try:
                    answer = dict(ok=True, **await self.command(json.loads(line)))
                # Whatever is wrong with a command is said to who gave it.
                except Exception as error:
                    logging.exception("a command failed: %s", line)
                    answer = dict(ok=False, error=repr(error))
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.listeners.discard(writer)
            writer.close()


async def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hub", required=True, help="bumble's name of the line to the adapter: unix-client:PATH")
    arguments.add_argument("--control", required=True, help="the socket for commands")
    arguments.add_argument("--log", default="WARNING")
    given = arguments.parse_args()
    logging.basicConfig(level=given.log, format="%(relativeCreated)d %(levelname)s %(name)s %(message)s")
    simulator = Simulator(given.hub)
    await simulator.adapter.open()
    if os.path.exists(given.control):
        os.unlink(given.control)
    server = await asyncio.start_unix_server(simulator.serve, given.control)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
