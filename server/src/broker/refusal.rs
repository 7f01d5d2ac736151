//! Why the door closes a connection. Each is counted under its name.

use super::packet::{ConnectAnswer, UnreadablePacket};

/// Why a connection was refused or ended by the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The door is full.
    #[error("the door is full")]
    Full,
    /// Too many unproven connections from one address.
    #[error("too many connections of this address have not proved who they are")]
    AddressFull,
    /// Too many unproven connections in all: it came when they were there, or had to go for one that came.
    #[error("too many connections have not proved who they are")]
    StrangersFull,
    /// Waited too long for its turn to shake hands.
    #[error("too many handshakes are in progress")]
    HandshakesFull,
    /// TLS took too long.
    #[error("TLS took too long")]
    TlsTimeout,
    /// TLS failed: no certificate, not from our authority, revoked, expired, or no TLS 1.3.
    #[error("TLS failed")]
    Tls,
    /// The certificate does not name one hub.
    #[error("the certificate names no hub")]
    Certificate,
    /// The hub connects too often.
    #[error("the hub connects too often; it may again in a moment")]
    ConnectsTooFast,
    /// The store does not admit the hub or this certificate.
    #[error("the store does not admit this certificate; enrol the hub again if it is ours")]
    NotAdmitted,
    /// The store did not say in time whether to admit.
    #[error("the store did not answer")]
    StoreSilent,
    /// CONNECT did not come in time.
    #[error("CONNECT did not come")]
    ConnectTimeout,
    /// Something else came first.
    #[error("the first packet is not CONNECT")]
    NotConnect,
    /// Not MQTT 3.1.1.
    #[error("not MQTT 3.1.1")]
    ProtocolVersion,
    /// The client identifier is not the certificate's hub.
    #[error("the client identifier is not the certificate's hub")]
    ForeignClientId,
    /// A session that is to last.
    #[error("the session is not clean")]
    LastingSession,
    /// A user name or password.
    #[error("a user name or password came")]
    Credentials,
    /// Keep-alive is off or too long.
    #[error("the keep-alive is off or too long")]
    KeepAlive,
    /// Another will than the hub's own.
    #[error("the will is not the hub's own")]
    Will,
    /// Bytes that are no packet a hub may send.
    #[error("{0}")]
    Packet(#[from] UnreadablePacket),
    /// A second CONNECT.
    #[error("a second CONNECT came")]
    ConnectTwice,
    /// A second SUBSCRIBE.
    #[error("a second SUBSCRIBE came")]
    SubscribeTwice,
    /// A topic that is not its own.
    #[error("a topic that is not the hub's own")]
    ForeignTopic,
    /// A message over the limit.
    #[error("the message is too long")]
    MessageTooLong,
    /// Nothing came for one and a half keep-alives.
    #[error("nothing came for one and a half keep-alives")]
    Silent,
    /// A write took too long.
    #[error("the hub does not read")]
    WriteTimeout,
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
    /// Ingest did not take a message and will not take its repeat.
    #[error("ingest refused the message")]
    Unacceptable,
    /// Ingest could not take a message now.
    #[error("ingest is unavailable")]
    IntakeUnavailable,
    /// A newer session of the same hub took over.
    #[error("a newer session of the hub took over")]
    TakenOver,
    /// The older session of the hub did not end.
    #[error("the hub's older session did not end")]
    OlderSessionStuck,
    /// The hub was revoked.
    #[error("the hub was revoked")]
    Revoked,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
    /// The connection's task ended without saying why: a fault of ours.
    #[error("the connection's task broke off; report this as a fault of the server")]
    BrokenOff,
}

impl Refusal {
    /// Its name, for counting.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::AddressFull => "address_full",
            Self::StrangersFull => "strangers_full",
            Self::HandshakesFull => "handshakes_full",
            Self::TlsTimeout => "tls_timeout",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::ConnectsTooFast => "connects_too_fast",
            Self::NotAdmitted => "not_admitted",
            Self::StoreSilent => "store_silent",
            Self::ConnectTimeout => "connect_timeout",
            Self::NotConnect => "not_connect",
            Self::ProtocolVersion => "protocol_version",
            Self::ForeignClientId => "foreign_client_id",
            Self::LastingSession => "lasting_session",
            Self::Credentials => "credentials",
            Self::KeepAlive => "keep_alive",
            Self::Will => "will",
            Self::Packet(_) => "packet",
            Self::ConnectTwice => "connect_twice",
            Self::SubscribeTwice => "subscribe_twice",
            Self::ForeignTopic => "foreign_topic",
            Self::MessageTooLong => "message_too_long",
            Self::Silent => "silent",
            Self::WriteTimeout => "write_timeout",
            Self::Broken => "broken",
            Self::Unacceptable => "unacceptable",
            Self::IntakeUnavailable => "intake_unavailable",
            Self::TakenOver => "taken_over",
            Self::OlderSessionStuck => "older_session_stuck",
            Self::Revoked => "revoked",
            Self::Stopping => "stopping",
            Self::BrokenOff => "broken_off",
        }
    }

    /// What CONNACK says of it, where MQTT has a word.
    #[must_use]
    pub const fn connect_answer(self) -> Option<ConnectAnswer> {
        match self {
            Self::ProtocolVersion => Some(ConnectAnswer::Version),
            Self::ForeignClientId => Some(ConnectAnswer::Identifier),
            Self::NotAdmitted => Some(ConnectAnswer::NotAuthorised),
            Self::Full | Self::ConnectsTooFast | Self::StoreSilent | Self::OlderSessionStuck => {
                Some(ConnectAnswer::Unavailable)
            }
            _ => None,
        }
    }
}
