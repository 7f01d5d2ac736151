//! Strangers in numbers: hubs that are here stay, and others come in.

use std::net::Ipv4Addr;

use rustls::ClientConnection;
use tokio::net::TcpSocket;

use super::*;

/// How long a hub may take to come in beside strangers: a debug build on a busy machine, and far less than any limit of
/// the door's.
const IN_WITHIN: Duration = Duration::from_secs(3);

impl Rig {
    /// A socket from 127.1.0.`host`, once the door has it.
    async fn stranger(&self, host: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 1, 0, host), 0).into()).unwrap();
        let accepted = self.metrics.door_accepted.get();
        let socket = socket.connect(self.address).await.unwrap();
        let accepting = async {
            while self.metrics.door_accepted.get() == accepted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), accepting).await.unwrap();
        socket
    }

    async fn connect_soon(&self, hub: HubId) -> Client {
        tokio::time::timeout(IN_WITHIN, self.connect(hub)).await.expect("it comes in at once")
    }
}

async fn is_closed(socket: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut [0; 1])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn silent_strangers_of_many_addresses_keep_nobody_out() {
    let rig = rig().await;
    let count = limits::HANDSHAKES_MAX + limits::STRANGERS_PER_ADDRESS_MAX;
    let mut strangers = Vec::new();
    for number in 0..count {
        strangers.push(rig.stranger(1 + u8::try_from(number % 8).unwrap()).await);
    }
    rig.connect_soon(HUB).await;
    // Some octets of TLS and then silence is no more.
    for stranger in &mut strangers {
        stranger.write_all(&[22, 3, 1]).await.unwrap();
    }
    rig.connect_soon(OTHER).await;
    assert_eq!(rig.metrics.door_accepted.get(), u64::try_from(count).unwrap() + 2);
    // One that is silent has the time of TLS and no more.
    rig.until(Refusal::TlsTimeout).await;
}

#[tokio::test]
async fn who_stalls_within_tls_keeps_nobody_out() {
    let rig = rig().await;
    let config = rig.authority.client(Some(rig.authority.hub(OTHER, 9)), &TLS13);
    let mut hello = Vec::new();
    let mut client = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    client.write_tls(&mut hello).unwrap();
    let mut strangers = Vec::new();
    for number in 0..5 * limits::HANDSHAKES_PER_ADDRESS_MAX {
        let mut stranger = rig.stranger(1 + u8::try_from(number % 5).unwrap()).await;
        stranger.write_all(&hello).await.unwrap();
        // The door has had its turn and waits for the answer.
        assert_eq!(stranger.read_u8().await.unwrap(), 22);
        strangers.push(stranger);
    }
    rig.connect_soon(HUB).await;
    assert_eq!(rig.metrics.refusals(Refusal::HandshakesFull.name()), 0);
}

#[tokio::test]
async fn a_handshake_is_no_longer_than_a_hubs() {
    let rig = rig().await;
    let mut stranger = rig.stranger(1).await;
    // Records of one handshake message of 0xff00 octets that never ends.
    let mut record = vec![22, 3, 1, 0x10, 0];
    record.resize(5 + 0x1000, 0);
    record[5..9].copy_from_slice(&[1, 0, 0xff, 0]);
    for _ in 0..4 {
        let _ = stranger.write_all(&record).await;
        record[5..9].fill(0);
    }
    let mut answer = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(5), stranger.read_to_end(&mut answer)).await.expect("it is closed");
    rig.until(Refusal::Tls).await;
    assert_eq!(rig.metrics.refusals(Refusal::TlsTimeout.name()), 0);
}

#[tokio::test]
async fn strangers_in_all_are_few_and_hubs_that_are_here_do_not_count() {
    let rig = rig_with(false, Strangers::with_most(4)).await;
    let mut hubs = Vec::new();
    for octet in 10..16 {
        hubs.push(rig.connect(HubId::from_bytes([octet; 16])).await);
    }
    let mut strangers = Vec::new();
    for _ in 0..4 {
        strangers.push(rig.stranger(1).await);
    }
    // From another address: the oldest of those goes.
    assert_eq!(rig.metrics.refusals(Refusal::StrangersFull.name()), 0);
    hubs.push(rig.connect_soon(HUB).await);
    assert!(is_closed(&mut strangers[0]).await);
    assert!(!is_closed(&mut strangers[1]).await);
    rig.until(Refusal::StrangersFull).await;
    drop(strangers);
    rig.until(Refusal::Tls).await;
    // One each of four addresses: a fifth is closed at once.
    let here = |rig: &Rig| rig.metrics.refusals(Refusal::Tls.name());
    while here(&rig) < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut strangers = Vec::new();
    for host in 1..=4 {
        strangers.push(rig.stranger(host).await);
    }
    let mut fifth = rig.stranger(5).await;
    assert!(is_closed(&mut fifth).await);
    assert_eq!(rig.metrics.refusals(Refusal::StrangersFull.name()), 2);
    for hub in &mut hubs {
        hub.write_all(&[0xc0, 0]).await.unwrap();
        assert_eq!(read(hub, 2).await, packet::PINGRESP);
    }
}
