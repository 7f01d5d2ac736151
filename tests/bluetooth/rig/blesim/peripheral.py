"""One simulated device: its services, its link, its measurements, its troubles."""
import asyncio
import datetime
import struct

from bumble import hci
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import AsyncPipeSink

from octets import date_time
from profiles import INDICATE, NOTIFY, PROFILES, READ, WRITE, WRITE_BLIND
from radio import PACKET_OCTETS
from records import Records
from vendors import VENDORS

KINDS = {**PROFILES, **VENDORS}
HAS_RECORDS = ("pulse_oximeter", "glucose", "continuous_glucose")
ADVERTISING_OCTETS = 31
# A device hangs up this long after its last value, so that the value is confirmed.
GOODBYE_SECONDS = 0.05
# Between stored records, as fast as the air is. Faster than bluetoothd reads, the kernel drops them: a socket of L2CAP
# holds some 270.
RECORD_SECONDS = 0.01
# Until somebody sets it, a device's clock is wrong by this.
CLOCK_WRONG_SECONDS = -3 * 3600


class Delegate(PairingDelegate):
    """A device without keys, or with a display for the passkey."""

    def __init__(self, device, passkey):
        shows = PairingDelegate.IoCapability.DISPLAY_OUTPUT_ONLY
        nothing = PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT
        super().__init__(nothing if passkey is None else shows)
        self.device = device
        self.passkey = passkey

    async def generate_passkey(self):
        return self.passkey

    async def display_number(self, number, digits=6):
        self.device.event("passkey_shown", passkey=number)

    async def accept(self):
        self.device.event("pairing_asked")
        return True


class Peripheral:
    """See `README.md` for the options and commands."""

    def __init__(
        self, simulator, place, name, kind, address=None, security="none", passkey=123456, rotates_seconds=None,
        mtu=517, battery=87, advertise=True, advertises_name=True, advertises_services=True, per_second=None,
        local_name=None, stored=0, security_request=False, serial=None, clock_wrong_seconds=CLOCK_WRONG_SECONDS,
        hang_up_after=None, record_gap=RECORD_SECONDS, mute=False, ignores_requests=False, **others,
    ):
        if security not in ("none", "justworks", "passkey"):
            raise ValueError(f"security is none, justworks or passkey, not {security}")
        self.simulator, self.name, self.kind = simulator, name, kind
        self.security, self.security_request = security, security_request
        self.hang_up_after, self.record_gap = hang_up_after, record_gap
        self.mute, self.ignores_requests = mute, ignores_requests
        self.clock_offset = datetime.timedelta(seconds=clock_wrong_seconds)
        self.address = hci.Address(address or f"C0:00:00:00:00:{place:02X}", hci.Address.RANDOM_DEVICE_ADDRESS)
        self.serial = serial or f"SIM-{str(self.address).split('/')[0].replace(':', '')}"
        self.profile = KINDS[kind](others)
        if others:
            raise ValueError(f"a device of this kind has no option {', '.join(others)}")
        self.per_second = self.profile.per_second if per_second is None else per_second
        self.records = Records(self, stored)
        # What continuous values say.
        self.values = {}
        self.number = stored
        self.connection, self.subscribed, self.characteristics = None, {}, {}
        self.waiting, self.sending = [], asyncio.Lock()
        self.hang_up_after_sending = False
        self.ticking = self.leaving = None
        self.wants_advertising = advertise
        self._make_device(place, local_name or f"{kind.replace('_', ' ').title()} {name}", rotates_seconds, mtu)
        self.device.pairing_config_factory = lambda connection: PairingConfig(
            sc=True, mitm=security == "passkey", bonding=True,
            delegate=Delegate(self, passkey if security == "passkey" else None))
        self._make_services(battery)
        self.advertisement = self._advertisement(advertises_services, advertises_name)

    # --- What it is ---
    def _make_device(self, place, local_name, rotates_seconds, mtu):
        self.local_name = local_name
        controller = Controller(
            self.name, link=self.simulator.link, public_address=f"00:1B:DC:00:00:{place:02X}")
        controller.acl_data_packet_length = controller.le_acl_data_packet_length = PACKET_OCTETS
        configuration = DeviceConfiguration(
            name=local_name, address=self.address, irk=(bytes(self.address) * 3)[:16],
            le_privacy_enabled=rotates_seconds is not None, le_rpa_timeout=int(rotates_seconds or 0),
            advertising_interval_min=100.0, advertising_interval_max=100.0)
        self.controller = controller
        self.device = Device(config=configuration, host=Host(controller, AsyncPipeSink(controller)))
        self.device.keystore = MemoryKeyStore()
        self.device.gatt_server.max_mtu = mtu
        self.device.on("connection", self._on_connection)

    def _permissions(self, properties, protected):
        allowed = Characteristic.Permissions
        permissions = allowed(0)
        if properties & READ:
            permissions |= allowed.READABLE | (allowed.READ_REQUIRES_ENCRYPTION if protected else allowed(0))
            if protected and self.security == "passkey":
                permissions |= allowed.READ_REQUIRES_AUTHENTICATION
        if properties & (WRITE | WRITE_BLIND):
            permissions |= allowed.WRITEABLE | (allowed.WRITE_REQUIRES_ENCRYPTION if protected else allowed(0))
        return permissions

    def _characteristic(self, uuid, properties, value=b"", read=None, write=None, protected=True):
        protected = protected and self.security != "none"
        if properties & (WRITE | WRITE_BLIND):
            value = CharacteristicValue(
                read=read or (lambda connection, kept=value: kept),
                write=lambda connection, octets: self._on_write(uuid, bytes(octets), write))
        made = Characteristic(UUID(uuid), properties, self._permissions(properties, protected), value)
        made.on(made.EVENT_SUBSCRIPTION, lambda bearer, notify, indicate: self._on_subscription(uuid, notify, indicate))
        self.characteristics[uuid] = made
        return made

    def _make_services(self, battery):
        made = [self._characteristic(*described) for described in self.profile.characteristics()]
        if self.kind in HAS_RECORDS:
            made.append(self._characteristic("2a52", WRITE | INDICATE, write=self._on_request))
        self.device.add_service(Service(UUID(self.profile.service), made))
        level = self._characteristic("2a19", READ | NOTIFY, bytes([battery]), protected=False)
        self.device.add_service(Service(UUID("180f"), [level]))
        texts = [("2a29", "Simulated"), ("2a24", self.kind), ("2a25", self.serial), ("2a26", "1.2.3")]
        strings = [self._characteristic(uuid, READ, text.encode(), protected=False) for uuid, text in texts]
        self.device.add_service(Service(UUID("180a"), strings))
        clock = self._characteristic("2a2b", READ | WRITE | NOTIFY, read=self._read_clock, write=self._set_clock)
        self.device.add_service(Service(UUID("1805"), [clock]))

    def _advertisement(self, services, name):
        fields = [(AdvertisingData.FLAGS, bytes([0x06]))]
        uuid = UUID(self.profile.service).to_bytes()
        if services and len(uuid) == 2:
            wanted = uuid + (UUID("1805").to_bytes() if self.profile.wants_time else b"")
            fields.append((AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, wanted))
        elif services:
            fields.append((AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, uuid))
        if name:
            room = ADVERTISING_OCTETS - sum(len(octets) + 2 for _, octets in fields) - 2
            text = self.local_name.encode()
            whole, part = AdvertisingData.COMPLETE_LOCAL_NAME, AdvertisingData.SHORTENED_LOCAL_NAME
            fields.append((whole if len(text) <= room else part, text[:room]))
        return bytes(AdvertisingData(fields))

    @property
    def record_uuid(self):
        """What carries its records."""
        return self.profile.characteristics()[0][0]

    def now(self):
        """By its own clock."""
        return datetime.datetime.now() + self.clock_offset

    def _read_clock(self, connection):
        now = self.now()
        return date_time(now) + bytes([now.isoweekday(), 0, 0])

    def _set_clock(self, octets):
        moment = datetime.datetime(*struct.unpack_from("<HBBBBB", octets))
        self.clock_offset = moment - datetime.datetime.now()
        self.event("clock_set", to=moment.isoformat())

    # --- Its life ---
    def event(self, event, **more):
        self.simulator.event(event, name=self.name, **more)

    async def start(self):
        await self.device.power_on()
        if self.wants_advertising:
            await self.advertise()

    async def advertise(self):
        if self.connection is None and not self.device.is_advertising:
            await self.device.start_advertising(advertising_data=self.advertisement, auto_restart=False)

    async def stop_advertising(self):
        if self.device.is_advertising:
            await self.device.stop_advertising()

    def is_subscribed(self, uuid):
        return self.subscribed.get(uuid, False)

    def _on_connection(self, connection):
        self.connection, self.subscribed = connection, {}
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        connection.on(
            connection.EVENT_CONNECTION_ATT_MTU_UPDATE, lambda: self.event("mtu", mtu=connection.att_mtu))
        connection.on("pairing", lambda keys: self.event("paired"))
        connection.on("pairing_failure", lambda reason: self.event("pairing_failed", reason=str(reason)))
        connection.on(
            connection.EVENT_CONNECTION_ENCRYPTION_CHANGE,
            lambda: self.event("encrypted", on=bool(connection.encryption)))
        self.event("connected", peer=str(connection.peer_address), own=str(connection.self_address))
        if self.security_request:
            connection.request_pairing()
        if self.hang_up_after is not None:
            self.leaving = asyncio.create_task(self._hang_up_later(self.hang_up_after))

    def _on_disconnection(self, reason):
        self.connection, self.subscribed = None, {}
        self.records.stop()
        for task in (self.ticking, self.leaving):
            if task:
                task.cancel()
        self.ticking = self.leaving = None
        self.event("disconnected", reason=reason)
        if self.wants_advertising:
            self.simulator.keep(self.advertise())

    async def _hang_up_later(self, seconds):
        await asyncio.sleep(seconds)
        await self.hang_up()

    async def hang_up(self):
        if self.connection:
            await self.connection.disconnect()

    async def vanish(self):
        """Out of reach: nobody says goodbye, both ends notice after a while."""
        self.wants_advertising = False
        await self.stop_advertising()
        reason = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
        for own_end in list(self.controller.le_connections.values()):
            adapter = self.simulator.link.find_le_controller(own_end.peer_address)
            other_end = adapter.le_connections.get(own_end.self_address) if adapter else None
            self.controller.on_le_disconnected(own_end, reason)
            if other_end is not None:
                adapter.on_le_disconnected(other_end, reason)

    async def rotate(self):
        """A new resolvable private address."""
        await self.stop_advertising()
        await self.device.update_rpa()
        if self.wants_advertising:
            await self.advertise()
        return str(self.device.random_address)

    def forget(self):
        """Its keys are lost, as with an empty battery."""
        self.device.keystore = MemoryKeyStore()

    async def remove(self):
        await self.vanish()
        await self.device.power_off()
        self.simulator.link.remove_controller(self.controller)

    # --- Its values ---
    def _on_subscription(self, uuid, notify, indicate):
        self.subscribed[uuid] = notify or indicate
        self.event("subscribed", char=uuid, notify=notify, indicate=indicate)
        if notify and uuid in self.profile.continuous and self.per_second and self.ticking is None:
            self.ticking = asyncio.create_task(self._tick())
        if self.waiting and (notify or indicate):
            self.simulator.keep(self._send_waiting())

    def _on_write(self, uuid, octets, write):
        self.event("written", char=uuid, hex=octets.hex())
        if self.ignores_requests:
            return
        if write:
            write(octets)
        answers = self.profile.on_write(uuid, octets)
        if answers:
            self.simulator.keep(self._send_all(answers))

    def _on_request(self, octets):
        self.records.on_write(octets)

    async def _send_all(self, values):
        for uuid, octets in values:
            await self.send(uuid, octets)

    async def _tick(self):
        while self.connection is not None:
            self.number += 1
            await self._send_all(self.profile.tick(self.number, self.now(), **self.values))
            await asyncio.sleep(1 / self.per_second)

    async def send(self, uuid, octets):
        """One notification or indication; whether it went out."""
        characteristic, connection = self.characteristics[uuid], self.connection
        if connection is None or self.mute:
            return False
        server = self.device.gatt_server
        send = server.indicate_subscriber if characteristic.properties & INDICATE else server.notify_subscriber
        try:
            await send(connection, characteristic, octets)
        # Whatever it is, the link is the reason: a test sees that nothing was sent, and why.
        except Exception as error:
            self.event("not_sent", char=uuid, error=repr(error))
            return False
        self.event("sent", char=uuid, hex=octets.hex())
        return True

    async def send_record(self, number, fields):
        """A stored record."""
        # Records are a minute apart.
        moment = self.now() - datetime.timedelta(minutes=max(self.number - number, 0))
        for uuid, octets in self.profile.measurement(number, moment, **fields):
            if uuid == self.record_uuid or self.is_subscribed(uuid):
                await self.send(uuid, octets)
        await asyncio.sleep(self.record_gap)

    async def measure(self, fields, cut=0, pad=0, burst=None):
        """A measurement. `cut`, `pad`: octets missing and too many at its end; `burst`: advertise for so many
        seconds, send when subscribed, hang up."""
        self.number += 1
        values = self.profile.measurement(self.number, self.now(), **fields)
        if self.profile.keeps:
            self.records.add(self.number, fields)
        else:
            wrong = [(uuid, octets[:len(octets) - cut] + bytes(pad)) for uuid, octets in values]
            self.waiting += [(uuid, octets, place == 0) for place, (uuid, octets) in enumerate(wrong)]
        if burst is not None:
            self.hang_up_after_sending = True
            self.wants_advertising = False
            await self.advertise()
            self.simulator.keep(self._end_burst(burst))
        await self._send_waiting()
        return self.number

    async def _end_burst(self, seconds):
        await asyncio.sleep(seconds)
        await self.stop_advertising()
        if self.connection is None:
            self.event("burst_over")

    async def _send_waiting(self):
        async with self.sending:
            while self.waiting:
                uuid, octets, is_main = self.waiting[0]
                if self.is_subscribed(uuid):
                    if not await self.send(uuid, octets):
                        return
                elif is_main:
                    return
                self.waiting.pop(0)
        if self.hang_up_after_sending and self.connection:
            self.hang_up_after_sending = False
            await asyncio.sleep(GOODBYE_SECONDS)
            await self.hang_up()
