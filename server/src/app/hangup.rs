//! SIGHUP asks for the same as `monitor-server reload`.

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::ports::Counter;
use crate::admin::Request;
use crate::admin::socket::Carry;
use crate::setup::local_operator;

/// Reloads at each SIGHUP until stopped. Signals that come meanwhile are one.
pub(super) async fn run(mut hangups: Signal, counter: Arc<Counter>, stop: CancellationToken) {
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => return,
            heard = hangups.recv() => heard,
        };
        if heard.is_none() {
            return;
        }
        // Only this user or root can send it, who may use the command line as well.
        match counter.carry(local_operator(), Request::Reload).await {
            Ok(answer) => tracing::info!(%answer, "reloaded after SIGHUP"),
            Err(failure) => tracing::error!(%failure, "SIGHUP changed nothing"),
        }
    }
}
