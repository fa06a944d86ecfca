//! What ends or interrupts a kernel from outside: signals, and the end of whoever started it.

use super::server::Server;
use std::time::Duration;

/// Between two looks whether the parent is still there.
#[cfg(unix)]
const LOOK: Duration = Duration::from_secs(1);

/// Waits until the kernel is to end; interrupts the cell that runs where the terminal says so.
pub(super) async fn from_outside(server: &Server) {
    tokio::select! {
        () = interrupts(server) => {}
        () = terminated() => server.log.line("ends: it was asked to by a signal"),
        () = parent_gone() => server.log.line("ends: whoever started it is gone"),
    }
}

/// Ctrl-C in a terminal goes to the kernel, too, and is meant for its cell.
async fn interrupts(server: &Server) {
    while tokio::signal::ctrl_c().await.is_ok() {
        server.interrupt().await;
    }
    std::future::pending().await
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut signals) = signal(SignalKind::terminate()) {
        signals.recv().await;
    } else {
        std::future::pending().await
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// Jupyter says in `JPY_PARENT_PID` who starts the kernel; another parent later on means that this one has died.
#[cfg(unix)]
async fn parent_gone() {
    use std::os::unix::process::parent_id;
    let named = std::env::var("JPY_PARENT_PID").ok().and_then(|id| id.parse::<u32>().ok());
    // Another one from the start: something stands between the two, whose end says nothing.
    if named != Some(parent_id()) {
        std::future::pending::<()>().await;
    }
    while named == Some(parent_id()) {
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(not(unix))]
async fn parent_gone() {
    std::future::pending().await
}
