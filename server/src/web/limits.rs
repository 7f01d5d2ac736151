//! The limits of the HTTP listeners, and what happens at each.

use std::time::Duration;

/// Connections of one listener. A further one is closed at once.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Handshakes of one listener that the processor works on; none is held while the other side is silent. A further one
/// waits within [`TLS_MAX`].
pub const HANDSHAKES_MAX: usize = 64;
/// How long TLS may take, waiting for its turn included. Then the connection is closed.
pub const TLS_MAX: Duration = Duration::from_secs(10);
/// How long a request's head may take. Then the connection is closed.
pub const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a connection of a listener without sockets may last. Then it is closed.
pub const CONNECTION_MAX: Duration = Duration::from_secs(120);
/// How long requests may take to end when the server stops. Then they are cut.
pub const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// Octets of a request's head. More are answered with 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request. More are answered with 431.
pub const HEADERS_MAX: usize = 64;
/// Octets of a request's body. More are answered with 413. No request here has a body.
pub const BODY_BYTES_MAX: usize = 1024;
/// How long accepting pauses when the machine has no file descriptors left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the store may take to answer [`super::health`]. Then the server is not ready.
pub const READY_MAX: Duration = Duration::from_secs(3);
