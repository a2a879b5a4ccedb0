//! Ctrl-C and requests to end: what is under construction goes, and the status says which signal it was.
//!
//! A command that has something to finish first says so with [`instead`].

use std::sync::Mutex;

/// What the first signal does instead of ending the process.
static INSTEAD: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Lets the first signal call `finish` rather than end the process; a second one still ends it at once.
pub fn instead(finish: impl FnOnce() + Send + 'static) {
    *INSTEAD.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Box::new(finish));
}

/// Listens from now on. The first signal removes everything half-written; a second one ends the process at once.
///
/// # Errors
/// When the system does not let signals be listened to.
#[cfg(unix)]
pub fn listen() -> std::io::Result<()> {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, PoisonError};

    use offramp_models::partial;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    // By convention of shells.
    let status = |signal| 128 + signal;
    let second = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal arms what the second one meets.
        flag::register_conditional_shutdown(signal, status(signal), Arc::clone(&second))?;
        flag::register(signal, Arc::clone(&second))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let finish = INSTEAD.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(finish) = finish else {
                let _halt = partial::remove_all();
                // Without destructors: engines are still computing on other threads.
                low_level::exit(status(signal));
            };
            finish();
        }
    })?;
    Ok(())
}

/// Nothing is listened to here: what an interrupted process leaves is removed by the next that writes the same target.
#[cfg(not(unix))]
pub fn listen() -> std::io::Result<()> {
    Ok(())
}
