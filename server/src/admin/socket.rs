//! The socket between the command line and the running server: one JSON request, one JSON answer, on a Unix socket
//! that only the service's own user may open.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::net::sockopt::socket_peercred;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Request;
use super::answer::Failure;
use crate::access::Actor;
use crate::limits::{ADMIN_BYTES_MAX, ADMIN_CONNECTIONS_MAX, ADMIN_READ_MAX};

/// Longest wait of the command line for an answer: a backup takes a while.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// Carries a request out for an actor.
pub trait Carry: Send + Sync + 'static {
    /// Carries it out.
    ///
    /// # Errors
    /// [`Failure`].
    fn carry(&self, actor: Actor, request: Request) -> BoxFuture<'_, Result<Value, Failure>>;
}

/// Where the socket is.
#[must_use]
pub fn path(run_folder: &Path) -> PathBuf {
    run_folder.join("admin.sock")
}

/// Listens on the socket; an old one is removed (the caller holds the data folder's lock).
///
/// # Errors
/// The socket cannot be made.
pub fn listen(run_folder: &Path) -> io::Result<UnixListener> {
    let path = path(run_folder);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves requests until stopped.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: UnixListener, carry: Arc<dyn Carry>, stop: CancellationToken) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = guests.join_next() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let (carry, places) = (Arc::clone(&carry), Arc::clone(&places));
                guests.spawn(async move {
                    let Ok(_place) = places.acquire().await else { return };
                    if let Err(error) = serve_one(stream, carry.as_ref()).await {
                        tracing::debug!(%error, "a request of the command line was cut off");
                    }
                });
            }
        }
    }
    while guests.join_next().await.is_some() {}
    Ok(())
}

async fn serve_one(mut stream: UnixStream, carry: &dyn Carry) -> io::Result<()> {
    let user = socket_peercred(&stream).map(|peer| peer.uid.as_raw().to_string())?;
    let mut bytes = Vec::new();
    let limited = &mut (&mut stream).take(ADMIN_BYTES_MAX);
    tokio::time::timeout(ADMIN_READ_MAX, limited.read_to_end(&mut bytes)).await??;
    let answer = match serde_json::from_slice::<Request>(&bytes) {
        Ok(request) => {
            tracing::info!(request = request.name(), user, "the command line asks");
            carry.carry(Actor::LocalOperator { user }, request).await
        }
        Err(_) => {
            Err(Failure::new("command", "the request is not understood", "Use the same version of both programs"))
        }
    };
    let value = answer.unwrap_or_else(|failure| failure.to_json());
    stream.write_all(value.to_string().as_bytes()).await?;
    stream.shutdown().await
}

/// Asks the running server; `None` if none runs on this data folder.
///
/// # Errors
/// [`Failure`]: the server's, or the socket's.
pub fn ask(run_folder: &Path, request: &Request) -> Result<Option<Value>, Failure> {
    let what = request.name();
    let broken = |error: io::Error| {
        Failure::new(
            what,
            format!("the server's socket: {error}"),
            "See the server's log; the request may have been carried out",
        )
    };
    let mut stream = match BlockingStream::connect(path(run_folder)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Failure::new(
                what,
                "this user may not use the server's socket",
                "Run it as the service's user",
            ));
        }
        Err(error) => return Err(broken(error)),
    };
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(broken)?;
    let text = serde_json::to_vec(request).map_err(|error| broken(error.into()))?;
    stream.write_all(&text).map_err(broken)?;
    stream.shutdown(std::net::Shutdown::Write).map_err(broken)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(broken)?;
    let value: Value = serde_json::from_slice(&answer).map_err(|error| broken(error.into()))?;
    match value.get("error").cloned().map(serde_json::from_value::<Failure>) {
        Some(Ok(failure)) => Err(failure),
        Some(Err(error)) => Err(broken(error.into())),
        None => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Echo;
    impl Carry for Echo {
        fn carry(&self, actor: Actor, request: Request) -> BoxFuture<'_, Result<Value, Failure>> {
            Box::pin(async move {
                match request {
                    Request::Counts => Ok(json!({ "local": matches!(actor, Actor::LocalOperator { .. }) })),
                    _ => Err(Failure::new("x", "y", "z")),
                }
            })
        }
    }

    #[tokio::test]
    async fn a_request_is_answered_and_a_failure_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().to_owned();
        assert!(ask(&run, &Request::Counts).unwrap().is_none());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listen(&run).unwrap(), Arc::new(Echo), stop.clone()));
        let answers = tokio::task::spawn_blocking(move || {
            (ask(&run, &Request::Counts).unwrap().unwrap(), ask(&run, &Request::HubList).unwrap_err())
        });
        let (counts, failure) = answers.await.unwrap();
        assert_eq!(counts, json!({ "local": true }));
        assert_eq!(failure, Failure::new("x", "y", "z"));
        stop.cancel();
        tasks.join_next().await.unwrap().unwrap().unwrap();
    }

    #[test]
    fn debug_of_a_request_shows_no_patient() {
        let details = crate::admin::PatientDetails {
            nhs_number: "9434765919".into(),
            name: "Ada Fictional".into(),
            born: "1950-01-01".into(),
            ward: "Ward 3".to_owned().try_into().unwrap(),
        };
        assert_eq!(format!("{:?}", Request::PatientAdd(details)), "patient add");
    }
}
