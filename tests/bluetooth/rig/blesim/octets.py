"""Values as devices write them: the types of the Bluetooth profiles and the checksums.

Low octet first unless a name says otherwise. Sources: IEEE 11073-20601 (floats), GATT Specification Supplement (Date
Time), CGM Service 1.0.2, 3.11 (CRC).
"""
import struct


def sfloat(value, exponent=0):
    """SFLOAT, 16 bits: a mantissa of 12 bits and an exponent of 4, both two's complement. `None` is NaN."""
    if value is None:
        return struct.pack("<H", 0x07FF)
    mantissa = round(value / 10**exponent)
    if not -2048 <= mantissa <= 2047:
        raise ValueError(f"{value} does not fit an SFLOAT with exponent {exponent}")
    return struct.pack("<H", (mantissa & 0x0FFF) | ((exponent & 0xF) << 12))


def medfloat(value, exponent=-1):
    """FLOAT, 32 bits: a mantissa of 24 bits and an exponent of 8. `None` is NaN."""
    if value is None:
        return struct.pack("<I", 0x007FFFFF)
    mantissa = round(value / 10**exponent)
    return struct.pack("<I", (mantissa & 0xFFFFFF) | ((exponent & 0xFF) << 24))


def date_time(moment):
    """Date Time: year u16, month, day, hour, minute, second."""
    return struct.pack(
        "<HBBBBB", moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)


def u24(number):
    """Three octets."""
    return struct.pack("<I", number)[:3]


def crc16(octets):
    """CRC-16/MCRF4XX as it is sent."""
    crc = 0xFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8408 if crc & 1 else 0)
    return struct.pack("<H", crc)


def crc8(octets):
    """CRC-8 of Viatom: polynomial 07, from zero."""
    crc = 0
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = ((crc << 1) ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc
