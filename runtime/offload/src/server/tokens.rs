//! Tokens that let requests in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use offramp_models::regular;
use subtle::{Choice, ConstantTimeEq};
use tonic::codegen::http::{HeaderMap, header};
use tracing::{info, warn};

use crate::watched::WatchedFile;

/// The tokens of a file. Never shown.
pub(super) struct Tokens {
    file: WatchedFile,
    current: RwLock<Arc<[Vec<u8>]>>,
}

/// A file of tokens that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no token.
    #[error("{} holds no token", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
}

impl Tokens {
    /// Reads a file: one token a line, white space around it left out.
    pub(super) fn open(path: &Path) -> Result<Self, TokenError> {
        let file = WatchedFile::new(path.to_owned());
        let tokens = read(path)?;
        Ok(Self { file, current: RwLock::new(tokens) })
    }

    /// Reads the file again if it has changed. One that cannot be used leaves the tokens as they are.
    pub(super) fn refresh(&self) {
        if !self.file.has_changed() {
            return;
        }
        match read(self.file.path()) {
            Ok(tokens) => {
                info!(path = %self.file.path().display(), tokens = tokens.len(), "tokens read again");
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = tokens;
            }
            Err(error) => {
                warn!(error = %offramp_models::Causes(&error), "the tokens stay as they were");
            }
        }
    }

    /// Whether a request brings one of the tokens. Takes as long whatever the token's bytes are.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(brought) = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()))
        else {
            return false;
        };
        let tokens = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let none = Choice::from(0);
        tokens.iter().fold(none, |found, token| found | token.as_slice().ct_eq(brought)).into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("path", &self.file.path()).finish_non_exhaustive()
    }
}

/// The token of an `authorization` header; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn read(path: &Path) -> Result<Arc<[Vec<u8>]>, TokenError> {
    let bytes = regular::read(path).map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let tokens: Arc<[Vec<u8>]> = lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    if tokens.is_empty() {
        return Err(TokenError::None { path: path.to_owned() });
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn admits(tokens: &Tokens, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        tokens.admit(&headers)
    }

    #[test]
    fn a_request_is_let_in_by_a_token_of_the_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "  first \n\nsecond").unwrap();
        let tokens = Tokens::open(&path).unwrap();
        for good in ["Bearer first", "bearer second", "BEARER first "] {
            assert!(admits(&tokens, good), "{good}");
        }
        for bad in
            ["Bearer third", "Bearer firs", "Bearer first second", "Bearer ", "first", "Basic first", ""]
        {
            assert!(!admits(&tokens, bad), "{bad}");
        }
        assert!(!tokens.admit(&HeaderMap::new()));
        assert!(!format!("{tokens:?}").contains("first"));
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "old").unwrap();
        let tokens = Tokens::open(&path).unwrap();
        fs::write(&path, "newer").unwrap();
        tokens.refresh();
        assert!(admits(&tokens, "Bearer newer") && !admits(&tokens, "Bearer old"));
        fs::write(&path, "\n").unwrap();
        tokens.refresh();
        fs::remove_file(&path).unwrap();
        tokens.refresh();
        assert!(admits(&tokens, "Bearer newer"));
    }

    #[test]
    fn a_file_without_tokens_is_no_file_of_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let message = |error: TokenError| error.to_string().replace(folder.path().to_str().unwrap(), "");
        assert_eq!(message(Tokens::open(&path).unwrap_err()), "cannot read /tokens");
        fs::write(&path, " \n\n").unwrap();
        assert_eq!(message(Tokens::open(&path).unwrap_err()), "/tokens holds no token");
    }
}
