//! The door's limits, and what happens at each.

use std::time::Duration;

use shared::wire::MESSAGE_BYTES_MAX;

/// Connections in all: ten thousand hubs, and room for strangers and for hubs that come again before their older
/// connection has ended. A further one is closed at once and counted.
pub const CONNECTIONS_MAX: usize = 12_000;
/// Connections that have not proved who they are, all together: no number of strangers takes the ten thousand places of
/// hubs that are here. At a further one the oldest of the address that has most is closed, if that address has at least
/// two more; else the further one is closed at once. Both are counted. When the power comes back in a region, ten
/// thousand hubs connect at once and most are closed here; each comes again after its agent's growing wait, until all
/// are in.
pub const STRANGERS_MAX: usize = CONNECTIONS_MAX - 10_000;
/// Connections of one address that have not proved who they are, where the /64 of an IPv6 address counts as one. A
/// further one is closed at once and counted; those that have proved it do not count, so a house or a network behind one
/// address is no smaller for it.
pub const STRANGERS_PER_ADDRESS_MAX: usize = 512;
/// Handshakes that the processor works on. A place is held from when octets have come until all that follows from them
/// is computed and sent, and none while the door waits for the other side. A further one waits for
/// [`HANDSHAKE_WAIT_MAX`].
pub const HANDSHAKES_MAX: usize = 64;
/// Handshakes of one address that the processor works on: one address cannot take all places. A further one waits
/// likewise.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 48;
/// How long a handshake waits each time it needs a place. Then the connection is closed.
pub const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long TLS may take, from accepting the connection on and with all waiting. Then the connection is closed.
pub const TLS_MAX: Duration = Duration::from_secs(10);
/// Octets of TLS that are read before the other side has proved who it is: a hub's ClientHello, with post-quantum
/// shares too, and its certificates are some 4 KiB. At a further one the connection is closed, so that all strangers
/// together hold 32 MiB of it at most.
pub const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// How long CONNECT may take after TLS. Then the connection is closed.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Hubs with a good certificate about which the store is asked. A further one waits within [`ADMISSION_MAX`].
pub const ADMISSIONS_MAX: usize = 64;
/// How long the store may take to say whether a hub may come in, with the wait to ask. Then the connection is closed.
pub const ADMISSION_MAX: Duration = Duration::from_secs(10);
/// How long a write may take. Then the connection is closed.
pub const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long an older session of the same hub may take to end. Then the newer one is closed.
pub const TAKE_OVER_MAX: Duration = Duration::from_secs(30);
/// How long the publishes already taken may take to commit when a session ends. Then they stay without PUBACK.
pub const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// How long accepting pauses when the machine has no file descriptors left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest keep-alive a hub may ask for, in seconds; 0 (none) is refused too. A hub is gone after one and a half.
pub const KEEP_ALIVE_S_MAX: u16 = 600;
/// Longest CONNECT, in octets after the fixed header. A longer one closes the connection.
pub const CONNECT_BYTES_MAX: usize = 512;
/// Longest packet, in octets after the fixed header: a message, its topic and packet identifier. A longer one closes
/// the connection before its content is read.
pub const PACKET_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 64;
/// Publishes of one connection that have no answer yet. With so many, nothing further is read.
pub const UNANSWERED_MAX: usize = 20;
/// Content of all publishes without an answer, in KiB, over all connections. With so much, a connection that brings a
/// further one is not read from until there is room, in the order they asked; what it brought stays in its own buffer.
pub const UNANSWERED_KIB_MAX: usize = 64 * 1024;
/// Publishes of one hub in a second. When faster, it is read from later.
pub const MESSAGES_PER_S_MAX: u64 = 50;
/// Octets of one hub in a second. When faster, it is read from later.
pub const BYTES_PER_S_MAX: u64 = 1024 * 1024;
/// How far ahead of its pace a hub may be. It is no further ahead for having connected again.
pub const BURST: Duration = Duration::from_secs(4);
/// Connects of one hub in a minute, all of them at once or not. A further one is refused: CONNACK 3, and counted. An
/// agent waits half a second before its second attempt and ever longer after; a hostile hub makes the server shake hands
/// ten times a second at most.
pub const CONNECTS_PER_MIN_MAX: u64 = 600;
/// Hubs whose pace is kept: all that connected within the last minute, and those that are here. One of a further hub is
/// refused and counted.
pub const PACED_HUBS_MAX: usize = 2 * CONNECTIONS_MAX;
/// How often the paces that are wholly regained are forgotten.
pub const PACES_SWEPT_EVERY: Duration = Duration::from_secs(10);

/// Messages to hubs that the router has not taken. Whoever brings a further one waits.
pub const DOWN_MAX: usize = 1_024;
/// Messages of one hub that its session has not written. At a further one the oldest is forgotten and counted: messages
/// to a hub are all replaced by later ones (receipts say everything stored, settings the newest counter), and a hub that
/// reads so slowly is closed by [`WRITE_MAX`].
pub const HUB_MESSAGES_MAX: usize = 64;
/// Octets of messages on their way through the router. With so many, a further one waits until one comes out.
pub const ROUTER_BYTES_MAX: usize = 1024 * 1024;
/// Messages on their way through the router, likewise: fewer than the 1,000 places of its channel, so that publishing
/// never blocks, not even when its thread no longer turns.
pub const ROUTER_MESSAGES_MAX: usize = 900;
/// Segments of the router's log, each of twice [`ROUTER_BYTES_MAX`]. Beyond, it forgets the oldest, which came out.
pub const ROUTER_SEGMENTS_MAX: usize = 2;
/// How long nothing may come out of the router while something is on its way. Then it counts as ended.
pub const ROUTER_SILENT_MAX: Duration = Duration::from_secs(10);
/// Ends of the router's thread within [`ROUTER_RESTARTS_WITHIN`] after which a new one is started. At a further one the
/// process ends, and is started again by the service manager.
pub const ROUTER_RESTARTS_MAX: usize = 5;
/// See [`ROUTER_RESTARTS_MAX`].
pub const ROUTER_RESTARTS_WITHIN: Duration = Duration::from_secs(3_600);
