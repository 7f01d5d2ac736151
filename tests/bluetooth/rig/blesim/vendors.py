"""The devices that speak their makers' services, after public decoders and captures of them."""
import struct

from octets import crc8
from profiles import NOTIFY, WRITE, WRITE_BLIND, Profile


class Nonin(Profile):
    """Nonin 3230 and 3150: ten octets a second, high octet first, with a counter."""

    service = "46a970e0-0d5f-11e2-8b5e-0002a5d5c51b"
    value = "0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b"
    continuous = (value,)

    def characteristics(self):
        return [(self.value, NOTIFY, b"")]

    def measurement(self, number, now, spo2=97, pulse=72, finger=True, amplitude=4.0):
        # 127 and 511: no number. Status: SmartPoint and finger, or searching.
        status, values = (0x14, (spo2, pulse)) if finger else (0x08, (127, 511))
        octets = struct.pack(">BBBHHBH", 10, status, 29, round(amplitude * 100), number & 0xFFFF, *values)
        return [(self.value, octets)]


class Berry(Profile):
    """Berry BM1000: frames of BCI over a serial service, four in a notification. Option `shift`: notifications begin
    so many octets after a frame does."""

    service = "49535343-fe7d-4ae5-8fa9-9fafd205e455"
    value = "49535343-1e4d-4bd9-ba61-23c647249616"
    continuous = (value,)
    FRAMES = 4
    # Sixty frames a second.
    per_second = 15.0

    def __init__(self, options):
        self.shift = options.pop("shift", 0)
        self.left = b""

    def characteristics(self):
        return [(self.value, NOTIFY, b"")]

    def measurement(self, number, now, spo2=96, pulse=75, finger=True):
        frames = self.left + b"".join(
            self._frame(number * self.FRAMES + place, spo2, pulse, finger) for place in range(self.FRAMES))
        end = len(frames) - self.shift
        frames, self.left = frames[:end], frames[end:]
        return [(self.value, frames)]

    @staticmethod
    def _frame(number, spo2, pulse, finger):
        wave = number * 7 % 100
        # Without a finger: no signal, searching, 255 and 127 for no number.
        signal, search, spo2, pulse = (8, 0, spo2, pulse) if finger else (0, 0x20, 127, 255)
        beat = 0x40 if number % 48 == 0 and finger else 0
        bar = wave // 7
        return bytes([0x80 | beat | signal, wave, (pulse & 0x80) >> 1 | search | bar, pulse & 0x7F, spo2])


class Jumper(Profile):
    """Jumper JPD-500F: values marked 81, and between them the pulse wave, marked 80."""

    service = "cdeacb80-5235-4c07-8846-93a37ee6b86d"
    value = "cdeacb81-5235-4c07-8846-93a37ee6b86d"
    continuous = (value,)

    def characteristics(self):
        return [(self.value, NOTIFY, b"")]

    def measurement(self, number, now, spo2=99, pulse=64, perfusion=6.8, finger=True):
        values = (pulse, spo2, round(perfusion * 10)) if finger else (255, 127, 0)
        wave = bytes([0x80]) + bytes(number * 5 % 100 for _ in range(10))
        return [(self.value, bytes([0x81, *values])), (self.value, wave)]


class Viatom(Profile):
    """Viatom and Wellue O2Ring: answers commands, in pieces of at most twenty octets."""

    service = "14839ac4-7d7e-415c-9a42-167340cf2339"
    command = "8b00ace7-eb0b-49b0-bbe9-9aee0a26e1a3"
    value = "0734594a-a8e7-4b1a-a6b1-cd5243059a57"
    PIECE = 20
    READ_SENSORS = 0x17

    def __init__(self, options):
        self.fields = dict(spo2=97, pulse=66, battery=96, motion=0, perfusion=10, worn=True)

    def characteristics(self):
        return [(self.value, NOTIFY, b""), (self.command, WRITE | WRITE_BLIND, b"")]

    def measurement(self, number, now, **fields):
        """What the next answers say."""
        self.fields.update(fields)
        return []

    def on_write(self, uuid, octets):
        if uuid != self.command:
            return []
        good = len(octets) >= 8 and octets[0] == 0xAA and octets[1] ^ octets[2] == 0xFF
        good = good and crc8(octets[:-1]) == octets[-1]
        known = good and octets[1] == self.READ_SENSORS
        result, data = (0, self._sensors()) if known else (1, b"")
        reply = bytes([0x55, result, result ^ 0xFF]) + struct.pack("<HH", 0, len(data)) + data
        reply += bytes([crc8(reply)])
        return [(self.value, reply[at:at + self.PIECE]) for at in range(0, len(reply), self.PIECE)]

    def _sensors(self):
        now = self.fields
        spo2, pulse = (now["spo2"], now["pulse"]) if now["worn"] else (255, 0xFFFF)
        charging = 0
        return struct.pack(
            "<BHIBBBBBB", spo2, pulse, 0, now["battery"], charging, now["motion"], now["perfusion"], now["worn"], 0)


VENDORS = {"nonin": Nonin, "berry": Berry, "jumper": Jumper, "viatom": Viatom}
