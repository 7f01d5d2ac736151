"""The devices that speak a profile of the Bluetooth SIG: their services, and what a measurement is in octets.

Layouts: the GATT Specification Supplement; each class names the service's document. The fields
of a measurement, which commands may give, are the arguments of `measurement`.
"""
import datetime
import struct

from bumble.gatt import Characteristic

from octets import crc16, date_time, medfloat, sfloat, u24

READ = Characteristic.Properties.READ
WRITE = Characteristic.Properties.WRITE
WRITE_BLIND = Characteristic.Properties.WRITE_WITHOUT_RESPONSE
NOTIFY = Characteristic.Properties.NOTIFY
INDICATE = Characteristic.Properties.INDICATE


class Profile:
    """What makes a kind of device. `now` is the device's own clock, `number` counts its measurements from 1."""

    service = ""
    # Advertises that it wants its clock set.
    wants_time = False
    # Sent again and again while subscribed, so often.
    continuous = ()
    per_second = 1.0
    # Measurements are kept, and sent on request by the Record Access Control Point only.
    keeps = False

    def __init__(self, options):
        """Takes its own options out of those given."""

    def characteristics(self):
        """(UUID, properties, value) of the service's characteristics; the record access point is added for all that
        have records."""
        raise NotImplementedError

    def measurement(self, number, now, **fields):
        """[(UUID, octets)] of one measurement. The first is what it is about; the others are left out where nobody
        has subscribed them."""
        raise NotImplementedError

    def tick(self, number, now, **fields):
        """The same, of a continuous value."""
        return self.measurement(number, now, **fields)

    def on_write(self, uuid, octets):
        """[(UUID, octets)] to send after a write."""
        return []


class HeartRate(Profile):
    """Heart Rate Service 1.0."""

    service = "180d"
    continuous = ("2a37",)

    def characteristics(self):
        return [("2a37", NOTIFY, b""), ("2a38", READ, b"\x01")]

    def measurement(self, number, now, rate=None, rr=None, contact=True):
        rate = 60 + number % 40 if rate is None else rate
        # Intervals between beats in 1/1024 s, as many as given; by default those of this rate.
        intervals = [61440 // rate] if rr is None and rate else rr or []
        flags = (rate > 255) | (0x06 if contact else 0x04) | (0x10 if intervals else 0)
        octets = bytes([flags]) + struct.pack("<H" if rate > 255 else "<B", rate)
        return [("2a37", octets + b"".join(struct.pack("<H", interval) for interval in intervals))]


class Thermometer(Profile):
    """Health Thermometer Service 1.0."""

    service = "1809"
    wants_time = True

    def characteristics(self):
        return [("2a1c", INDICATE, b""), ("2a1d", READ, b"\x02"), ("2a1e", NOTIFY, b"")]

    def measurement(self, number, now, celsius=36.6, place=2, intermediate=()):
        main = bytes([0x06]) + medfloat(celsius) + date_time(now) + bytes([place])
        return [("2a1c", main)] + [("2a1e", bytes([0x00]) + medfloat(value)) for value in intermediate]


class BloodPressure(Profile):
    """Blood Pressure Service 1.1."""

    service = "1810"
    wants_time = True

    def characteristics(self):
        return [("2a35", INDICATE, b""), ("2a36", NOTIFY, b""), ("2a49", READ, b"\x3f\x00")]

    def measurement(self, number, now, systolic=128, diastolic=82, mean=97, pulse=71, user=1, status=0, cuff=()):
        main = bytes([0x1E]) + sfloat(systolic) + sfloat(diastolic) + sfloat(mean) + date_time(now)
        main += sfloat(pulse) + bytes([user]) + struct.pack("<H", status)
        return [("2a35", main)] + [
            ("2a36", bytes([0x00]) + sfloat(pressure) + sfloat(None) + sfloat(None)) for pressure in cuff]


class PulseOximeter(Profile):
    """Pulse Oximeter Service 1.0. A measurement is a spot check; continuous values come by themselves."""

    service = "1822"
    continuous = ("2a5f",)

    def characteristics(self):
        return [("2a5e", INDICATE, b""), ("2a5f", NOTIFY, b""), ("2a60", READ, b"\x04\x00")]

    def measurement(self, number, now, spo2=96, pulse=70):
        return [("2a5e", bytes([0x01]) + sfloat(spo2) + sfloat(pulse) + date_time(now))]

    def tick(self, number, now, spo2=96, pulse=70):
        return [("2a5f", bytes([0x00]) + sfloat(spo2) + sfloat(pulse))]


class Glucose(Profile):
    """Glucose Service 1.0.1: records, with a context (2A34) where there is one."""

    service = "1808"
    keeps = True

    def characteristics(self):
        return [("2a18", NOTIFY, b""), ("2a34", NOTIFY, b""), ("2a51", READ, b"\x00\x00")]

    def measurement(self, number, now, mg_per_dl=None, meal=None, sample=1):
        mg_per_dl = 90 + number % 60 if mg_per_dl is None else mg_per_dl
        flags = 0x03 | (0x10 if meal is not None else 0)
        # In kg/L, which is mg/dL by 10^5; offset 0 min; the sample's kind below, the finger above.
        octets = bytes([flags]) + struct.pack("<H", number) + date_time(now) + struct.pack("<h", 0)
        octets += sfloat(mg_per_dl / 1e5, -5) + bytes([0x10 | sample])
        context = [] if meal is None else [("2a34", bytes([0x02]) + struct.pack("<H", number) + bytes([meal]))]
        return [("2a18", octets)] + context


class ContinuousGlucose(Profile):
    """CGM Service 1.0.2. Option `crc`: every value closes with an E2E-CRC. A record's number is its offset in minutes
    since the session began."""

    service = "181f"
    continuous = ("2aa7",)
    CRC_FLAG = 1 << 12

    def __init__(self, options):
        self.crc = options.pop("crc", False)
        self.start = datetime.datetime.now().replace(microsecond=0)

    def closed(self, octets):
        """With its CRC, if this device sends one."""
        return octets + crc16(octets) if self.crc else octets

    def characteristics(self):
        # Interstitial fluid (9), subcutaneous tissue (5).
        feature = u24(self.CRC_FLAG if self.crc else 0) + bytes([0x59])
        feature += crc16(feature) if self.crc else b"\xff\xff"
        # Greenwich, standard time.
        start = self.closed(date_time(self.start) + struct.pack("<bB", 0, 0))
        status = self.closed(struct.pack("<H", 0) + u24(0))
        return [("2aa7", NOTIFY, b""), ("2aa8", READ, feature), ("2aa9", READ, status), ("2aaa", READ | WRITE, start)]

    def measurement(self, number, now, mg_per_dl=None, warning=0, records=1):
        both = b"".join(
            self._record(number + place, 100 + number % 40 if mg_per_dl is None else mg_per_dl, warning)
            for place in range(records))
        return [("2aa7", both)]

    def _record(self, offset, mg_per_dl, warning):
        body = bytes([0x20 if warning else 0]) + sfloat(mg_per_dl) + struct.pack("<H", offset)
        body += bytes([warning]) if warning else b""
        size = 1 + len(body) + (2 if self.crc else 0)
        return self.closed(bytes([size]) + body)


class Weight(Profile):
    """Weight Scale Service 1.0."""

    service = "181d"
    wants_time = True

    def characteristics(self):
        return [("2a9d", INDICATE, b""), ("2a9e", READ, b"\x00\x00\x00\x00")]

    def measurement(self, number, now, kg=72.5, user=None):
        # FFFF: the measurement failed.
        weight = 0xFFFF if kg is None else round(kg / 0.005)
        flags = 0x02 | (0x04 if user is not None else 0)
        octets = bytes([flags]) + struct.pack("<H", weight) + date_time(now)
        return [("2a9d", octets + (bytes([user]) if user is not None else b""))]


class BodyComposition(Profile):
    """Body Composition Service 1.0. Field `packets`: one, or two that belong together."""

    service = "181b"
    wants_time = True
    TIME, USER, METABOLISM, MUSCLE = 1 << 1, 1 << 2, 1 << 3, 1 << 4
    IMPEDANCE, WEIGHT, SEVERAL = 1 << 9, 1 << 10, 1 << 12

    def characteristics(self):
        return [("2a9c", INDICATE, b""), ("2a9b", READ, b"\x00\x00\x00\x00")]

    def measurement(self, number, now, fat=23.5, kg=72.5, muscle=40.7, kj=6500, ohm=500.0, user=1, packets=1):
        share = struct.pack("<H", 0xFFFF if fat is None else round(fat * 10))
        first = self.TIME | self.USER | self.METABOLISM | self.MUSCLE
        first_fields = date_time(now) + bytes([user]) + struct.pack("<HH", kj, round(muscle * 10))
        second = self.IMPEDANCE | self.WEIGHT
        second_fields = struct.pack("<HH", round(ohm * 10), round(kg / 0.005))
        if packets == 1:
            return [("2a9c", struct.pack("<H", first | second) + share + first_fields + second_fields)]
        return [
            ("2a9c", struct.pack("<H", first | self.SEVERAL) + share + first_fields),
            ("2a9c", struct.pack("<H", second | self.SEVERAL) + share + second_fields),
        ]


PROFILES = {
    "heart_rate": HeartRate,
    "thermometer": Thermometer,
    "blood_pressure": BloodPressure,
    "pulse_oximeter": PulseOximeter,
    "glucose": Glucose,
    "continuous_glucose": ContinuousGlucose,
    "weight": Weight,
    "body_composition": BodyComposition,
}
