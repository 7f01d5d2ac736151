//! systemd's readiness protocol (sd_notify). Every call does nothing where `NOTIFY_SOCKET` is not set.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service is up.
pub fn ready() {
    say(&NotifyState::Ready);
}

/// The service is draining.
pub fn stopping() {
    say(&NotifyState::Stopping);
}

/// Feeds the watchdog. Only the supervisor does, and only on progress.
pub fn watchdog() {
    say(&NotifyState::Watchdog);
}

/// One line for `systemctl status`. Control characters are left out, so it stays one line of the protocol.
pub fn status(text: &str) {
    let line: String = text.chars().filter(|character| !character.is_control()).collect();
    say(&NotifyState::Status(&line));
}

/// How often systemd wants the watchdog fed at least; `None` if it does not watch.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

fn say(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(%error, "systemd does not take a notice; it will time out if that stays so");
    }
}
