"""The air between the adapter of the guest and the simulated devices.

bumble's controllers and its link do most of it. What is corrected here are the points in which they differ from a
controller so much that Linux does not get along with them.
"""
import asyncio

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport import open_transport

# Octets of one packet of data: what Linux sends without fragments for the values of health devices.
PACKET_OCTETS = 251
# What ending a link takes: some connection events, in the time of a guest that is ten times slower than a computer.
# With less, Linux 6.1 may free the link while bluetoothd closes its socket, and stops with a corrupted list
# (hci_chan_del); so it does on real computers, rarely, when a device lost its keys.
DISCONNECT_SECONDS = 1.0
ADAPTER_ADDRESS = "00:1A:7D:DA:71:13"


class Link(LocalLink):
    """The air."""

    def send_acl_data(self, sender_controller, destination_address, transport, data):
        """bumble gives every LE packet the sender's random address; BlueZ uses its public one."""
        if transport != PhysicalTransport.LE:
            super().send_acl_data(sender_controller, destination_address, transport, data)
            return
        own_end = sender_controller.le_connections.get(destination_address)
        peer = self.find_le_controller(destination_address)
        if own_end is not None and peer is not None:
            source = own_end.self_address
            asyncio.get_running_loop().call_soon(lambda: peer.on_link_acl_data(source, transport, data))

    def send_ll_control_pdu(self, sender_address, receiver_address, packet):
        """Who is gone is not reached; bumble raises an error."""
        if self.find_le_controller(receiver_address) is not None:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)


class AdapterController(Controller):
    """The controller that the guest's kernel drives."""

    def on_hci_le_create_connection_cancel_command(self, command):
        """bumble answers and leaves the attempt pending; the kernel waits for a completion with status 02, and
        every later connection would be refused with 0C."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        asyncio.get_running_loop().call_soon(self._say_cancelled, pending)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def _say_cancelled(self, pending):
        self.send_hci_packet(hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, connection_handle=0,
            role=hci.Role.CENTRAL, peer_address_type=pending.peer_address_type, peer_address=pending.peer_address,
            connection_interval=0, peripheral_latency=0, supervision_timeout=0, central_clock_accuracy=0))

    def on_hci_disconnect_command(self, command):
        """The end of a link takes some connection events, and is due to the local host (16) whatever reason was given;
        bumble ends it at once, and with that reason."""
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            return super().on_hci_disconnect_command(command)
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        asyncio.get_running_loop().call_later(DISCONNECT_SECONDS, self._end, connection, command.reason)
        return None

    def _end(self, connection, reason):
        if self.le_connections.get(connection.peer_address) is connection:
            connection.send_ll_control_pdu(ll.TerminateInd(reason))
            self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    def send_hci_packet(self, packet):
        """A controller with LL privacy reports connections by the enhanced event, and Linux waits for that one: with
        the plain event its queue of commands blocks, connections take 3.5 s more and disconnections get lost."""
        if isinstance(packet, hci.HCI_LE_Connection_Complete_Event):
            nobody = hci.Address.ANY_RANDOM
            packet = hci.HCI_LE_Enhanced_Connection_Complete_Event(
                status=packet.status, connection_handle=packet.connection_handle, role=packet.role,
                peer_address_type=packet.peer_address_type, peer_address=packet.peer_address,
                local_resolvable_private_address=nobody, peer_resolvable_private_address=nobody,
                connection_interval=packet.connection_interval, peripheral_latency=packet.peripheral_latency,
                supervision_timeout=packet.supervision_timeout,
                central_clock_accuracy=packet.central_clock_accuracy)
        super().send_hci_packet(packet)

    def on_hci_reset_command(self, command):
        """A reset ends what was going on."""
        self.pending_le_connection = None
        self.le_scan_enable = False
        for connection in list(self.le_connections.values()):
            reason = hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
            connection.send_ll_control_pdu(ll.TerminateInd(reason))
            self.le_connections.pop(connection.peer_address, None)
        return super().on_hci_reset_command(command)


class Adapter:
    """The adapter's controller and its line to the guest."""

    def __init__(self, place, link):
        self.place = place
        self.link = link
        self.transport = None
        self.controller = None

    async def open(self):
        """Connects to the guest's line with a new controller."""
        self.transport = await open_transport(self.place)
        self.controller = AdapterController(
            "adapter", host_source=self.transport.source, host_sink=self.transport.sink, link=self.link,
            public_address=ADAPTER_ADDRESS)
        self.controller.acl_data_packet_length = self.controller.le_acl_data_packet_length = PACKET_OCTETS

    async def close(self):
        """The adapter is gone, with its line; devices notice that they hear nothing."""
        controller, self.controller = self.controller, None
        for own_end in list(controller.le_connections.values()):
            device = self.link.find_le_controller(own_end.peer_address)
            other_end = device.le_connections.get(own_end.self_address) if device else None
            if other_end is not None:
                device.on_le_disconnected(other_end, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        self.link.remove_controller(controller)
        await self.transport.close()
        self.transport = None
