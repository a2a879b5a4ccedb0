//! Whether a cache may be believed. What it holds is run as it is, and its digests are its own.

use std::io;
use std::path::Path;

/// A cache that others could have written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Another user's.
    #[error("it belongs to user {found}, expected user {expected} or root")]
    Owner {
        /// The effective user.
        expected: u32,
        /// The folder's owner.
        found: u32,
    },
    /// Anybody of a group, or anybody at all, may change it.
    #[error("its mode is {mode:03o}, expected one that only its owner may write with")]
    Writable {
        /// Permission bits.
        mode: u32,
    },
    /// Its owner cannot be told.
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Refuses a folder that anybody but the effective user and root may write to; one that is not there is fine.
///
/// # Errors
/// [`TrustError`].
#[cfg(unix)]
pub(super) fn check(folder: &Path) -> Result<(), TrustError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = match std::fs::metadata(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        metadata => metadata?,
    };
    // SAFETY: takes nothing, touches nothing and never fails (POSIX.1-2017, geteuid).
    let expected = unsafe { libc::geteuid() };
    judge(expected, metadata.uid(), metadata.mode() & 0o777)
}

#[cfg(unix)]
fn judge(expected: u32, found: u32, mode: u32) -> Result<(), TrustError> {
    if found != expected && found != 0 {
        return Err(TrustError::Owner { expected, found });
    }
    if mode & 0o022 != 0 {
        return Err(TrustError::Writable { mode });
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check(_folder: &Path) -> Result<(), TrustError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_user_or_root_alone_may_write_is_believed() {
        judge(1000, 1000, 0o755).unwrap();
        judge(1000, 0, 0o755).unwrap();
        let refusal = |found, mode| judge(1000, found, mode).unwrap_err().to_string();
        assert_eq!(refusal(1001, 0o755), "it belongs to user 1001, expected user 1000 or root");
        assert_eq!(refusal(1000, 0o775), "its mode is 775, expected one that only its owner may write with");
        assert_eq!(refusal(0, 0o757), "its mode is 757, expected one that only its owner may write with");
    }
}
