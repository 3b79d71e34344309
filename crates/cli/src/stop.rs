//! Stopping cleanly: the first Ctrl-C (or SIGTERM) asks, the second insists.

use tokio_util::sync::CancellationToken;

use crate::failure::Exit;
use crate::output::Output;

/// A token that is cancelled by the first request to stop. The second ends the process at once: what is in flight is then
/// rolled back by the repository.
pub(crate) fn on_request(output: &Output) -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let output = output.clone();
    tokio::spawn(async move {
        if !requested().await {
            return;
        }
        cancel.cancel();
        output.note("stopping after the objects in flight; once more stops at once");
        if requested().await {
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    token
}

/// Waits for a request to stop; false if the system will never tell.
async fn requested() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
            return false;
        };
        tokio::select! {
            got = interrupt.recv() => got.is_some(),
            got = terminate.recv() => got.is_some(),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.is_ok()
}
