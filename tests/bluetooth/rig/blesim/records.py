"""The Record Access Control Point (2A52): stored records, sent on request.

Glucose Service 1.0.1, 3.4; CGM Service 1.0.2, 3.8. Nothing is deleted unless a client asks for it, and then an event
says so.
"""
import asyncio
import struct

from bumble.att import ATT_Error

REPORT, DELETE, ABORT, COUNT = 1, 2, 3, 4
COUNT_ANSWER, ANSWER = 5, 6
ALL, UP_TO, FROM, BETWEEN, FIRST, LAST = 1, 2, 3, 4, 5, 6
SUCCESS, UNKNOWN_OPERATION, INVALID_OPERATOR, UNKNOWN_OPERATOR, INVALID_OPERAND, NONE = 1, 2, 3, 4, 5, 6
# GATT: the client's configuration does not allow it, and: another procedure runs.
NOT_CONFIGURED, RUNNING = 0xFD, 0xFE
FILTER_NUMBER = 1


class Refused(Exception):
    """The code of the answer."""


class Records:
    """What a device keeps: `kept` maps a record's number to the fields of its measurement."""

    def __init__(self, device, stored):
        self.device = device
        self.kept = {number: {} for number in range(1, stored + 1)}
        self.running = None

    def add(self, number, fields):
        """Keeps a measurement."""
        self.kept[number] = fields

    def on_write(self, octets):
        """Takes a request. Its answers come later; an error of GATT is raised."""
        if not self.device.is_subscribed("2a52") or not self.device.is_subscribed(self.device.record_uuid):
            raise ATT_Error(NOT_CONFIGURED)
        operation = octets[0] if octets else 0
        if self.running and not self.running.done():
            if operation != ABORT:
                raise ATT_Error(RUNNING)
            self.running.cancel()
        self.running = asyncio.create_task(self._serve(operation, octets[1:]))

    def stop(self):
        """The link is gone."""
        if self.running:
            self.running.cancel()

    async def _serve(self, operation, rest):
        try:
            answer = await self._answer(operation, rest)
        except Refused as refused:
            answer = bytes([ANSWER, 0, operation, refused.args[0]])
        await self.device.send("2a52", answer)

    async def _answer(self, operation, rest):
        if operation == ABORT:
            return bytes([ANSWER, 0, ABORT, SUCCESS])
        if operation not in (REPORT, DELETE, COUNT):
            raise Refused(UNKNOWN_OPERATION)
        chosen = self._chosen(rest)
        if operation == COUNT:
            return struct.pack("<BBH", COUNT_ANSWER, 0, len(chosen))
        if not chosen:
            raise Refused(NONE)
        if operation == DELETE:
            for number in chosen:
                del self.kept[number]
            self.device.event("deleted", records=len(chosen))
        for number in chosen if operation == REPORT else ():
            await self.device.send_record(number, self.kept[number])
        return bytes([ANSWER, 0, operation, SUCCESS])

    def _chosen(self, rest):
        """The numbers a request is about."""
        if not rest:
            raise Refused(INVALID_OPERATOR)
        operator, operand = rest[0], rest[1:]
        numbers = sorted(self.kept)
        if operator in (ALL, FIRST, LAST):
            return {ALL: numbers, FIRST: numbers[:1], LAST: numbers[-1:]}[operator]
        if operator not in (UP_TO, FROM, BETWEEN):
            raise Refused(UNKNOWN_OPERATOR)
        if len(operand) != (5 if operator == BETWEEN else 3) or operand[0] != FILTER_NUMBER:
            raise Refused(INVALID_OPERAND)
        bounds = struct.unpack("<HH" if operator == BETWEEN else "<H", operand[1:])
        lowest = bounds[0] if operator != UP_TO else 0
        highest = bounds[-1] if operator != FROM else 0xFFFF
        return [number for number in numbers if lowest <= number <= highest]
